"""How the rows of partitions that arrive side by side are cut into batches."""

from __future__ import annotations

import threading
from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.inference.wire import Request
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.trainer.inference.batcher import Cut, RowBuffer, RowStream

SCHEMA = pa.schema([("y", pa.float32())])
SECONDS = 300.0


def opened(buffer: RowBuffer, partition: int = 0) -> RowStream:
    return buffer.open(Request("inference", partition, SCHEMA))


def rows(start: int, count: int, partition: int = 0) -> LocatedBatch:
    batch = pa.record_batch({"id": pa.array(range(start, start + count), pa.int64())})
    return LocatedBatch(batch, Origin(partition, start))


def ids(cut: Cut | None) -> list[int]:
    assert cut is not None
    return [id_ for part in cut.slices for id_ in part.batch.column("id").to_pylist()]


def test_batches_go_over_record_batches_and_end_with_the_partition() -> None:
    buffer = RowBuffer()
    stream = opened(buffer)
    buffer.append(stream, rows(0, 3))
    buffer.append(stream, rows(3, 4))
    assert not buffer.complete(stream)
    buffer.end()
    found = []
    while (cut := buffer.cut(5)) is not None:
        found.append(ids(cut))
        assert cut.slices[0].origin.row == found[-1][0]
        last = buffer.answered(stream)
        assert last == (found[-1][-1] == 6)
    assert found == [[0, 1, 2, 3, 4], [5, 6]]


@given(
    sizes=st.lists(st.lists(st.integers(1, 7), max_size=5), min_size=1, max_size=4),
    batch_size=st.integers(1, 9),
)
def test_every_row_is_in_one_batch_of_its_partition_in_order(
    sizes: list[list[int]], batch_size: int
) -> None:
    buffer = RowBuffer()

    def fill(stream: RowStream, lengths: list[int], partition: int) -> None:
        start = 0
        for length in lengths:
            buffer.append(stream, rows(start, length, partition))
            start += length
        buffer.complete(stream)

    threads = []
    for partition, lengths in enumerate(sizes):
        stream = opened(buffer, partition)
        threads.append(threading.Thread(target=fill, args=(stream, lengths, partition)))
    for thread in threads:
        thread.start()
    buffer.end()
    found = defaultdict(list)
    batches = defaultdict(list)
    while (cut := buffer.cut(batch_size)) is not None:
        partition = cut.stream.request.partition
        found[partition] += ids(cut)
        batches[partition].append(len(ids(cut)))
        buffer.answered(cut.stream)
    for thread in threads:
        thread.join(SECONDS)
    for partition, lengths in enumerate(sizes):
        total = sum(lengths)
        assert found[partition] == list(range(total))
        full, rest = divmod(total, batch_size)
        assert batches[partition] == [batch_size] * full + [rest] * bool(rest)


def test_a_slow_partition_keeps_no_other_waiting() -> None:
    buffer = RowBuffer()
    slow, quick = opened(buffer, 0), opened(buffer, 1)
    buffer.append(slow, rows(0, 2, 0))
    buffer.append(quick, rows(0, 4, 1))
    cut = buffer.cut(4)
    assert cut is not None and cut.stream is quick


def test_the_last_reply_is_known_wherever_the_end_is_seen() -> None:
    buffer = RowBuffer()
    stream = opened(buffer)
    buffer.append(stream, rows(0, 4))
    buffer.cut(4)
    assert not buffer.answered(stream)  # there may be more rows
    assert buffer.complete(stream)

    stream = opened(buffer)
    buffer.append(stream, rows(0, 4))
    buffer.cut(4)
    assert not buffer.complete(stream)
    assert buffer.answered(stream)


def test_rows_wait_until_there_is_room() -> None:
    buffer = RowBuffer()
    stream = opened(buffer)
    for start in (0, 2):
        buffer.append(stream, rows(start, 2))
    thread = threading.Thread(target=lambda: buffer.append(stream, rows(4, 2)), daemon=True)
    thread.start()
    assert ids(buffer.cut(2)) == [0, 1]
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_large_batch_makes_room_for_itself() -> None:
    buffer, found = RowBuffer(), []
    stream = opened(buffer)
    thread = threading.Thread(target=lambda: found.append(buffer.cut(7)), daemon=True)
    thread.start()
    for start in range(7):
        buffer.append(stream, rows(start, 1))
    thread.join(SECONDS)
    assert ids(found[0]) == list(range(7))


def test_a_dropped_partition_is_forgotten() -> None:
    buffer = RowBuffer()
    dropped, kept = opened(buffer, 0), opened(buffer, 1)
    buffer.append(dropped, rows(0, 9, 0))
    assert ids(buffer.cut(2)) == [0, 1]
    buffer.append(kept, rows(0, 2, 1))
    buffer.drop(dropped)
    buffer.append(dropped, rows(9, 9, 0))
    assert not buffer.answered(dropped)
    cut = buffer.cut(2)
    assert cut is not None and cut.stream is kept
    buffer.complete(kept)
    assert buffer.answered(kept)
    buffer.end()
    assert buffer.cut(2) is None


def test_what_ends_a_thread_reaches_the_program() -> None:
    buffer = RowBuffer()
    opened(buffer)
    buffer.end(OSError("the agent is gone"))
    with pytest.raises(OSError, match="the agent is gone"):
        buffer.cut(1)
