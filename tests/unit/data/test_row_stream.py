"""Rows cut as they are asked for, and shuffled within windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.spool.row_stream import RowStream, shuffle_rows
from tensorsparkml.data.spool.segments import LocatedBatch, Origin

SIZES = st.lists(st.integers(0, 7), max_size=8)


def batches(sizes: list[int]) -> Iterator[LocatedBatch]:
    """Ids from 0 on; the batch with the number n is partition n."""
    start = 0
    for number, size in enumerate(sizes):
        ids = pa.array(range(start, start + size), pa.int64())
        yield LocatedBatch(pa.record_batch({"id": ids}), Origin(number, 0))
        start += size


def ids(found: list[LocatedBatch]) -> list[int]:
    return [number for located in found for number in located.batch.column("id").to_pylist()]


def names(sizes: list[int]) -> list[str]:
    """What each id should be called."""
    return [f"row {row} of partition {n}" for n, size in enumerate(sizes) for row in range(size)]


@given(SIZES, st.data())
def test_rows_come_in_order_however_they_are_cut(sizes: list[int], data: st.DataObject) -> None:
    stream, read, left = RowStream(batches(sizes)), list[int](), sum(sizes)
    while left:
        count = data.draw(st.integers(1, left))
        following = ids([stream.first_rows()])
        assert following == list(range(len(read), len(read) + len(following)))
        assert following
        if data.draw(st.booleans()):
            found = stream.take(count)
            assert sum(located.batch.num_rows for located in found) == count
        else:
            found = [stream.take_some(count)]
            assert 0 < found[0].batch.num_rows <= count
        for located in found:
            for offset, number in enumerate(ids([located])):
                assert located.origin.describe(offset) == names(sizes)[number]
        read += ids(found)
        left = sum(sizes) - len(read)
    assert read == list(range(sum(sizes)))
    with pytest.raises(EOFError):
        stream.take(1)


@given(SIZES, st.integers(1, 9))
def test_windows_are_shuffled_and_rows_keep_their_names(sizes: list[int], rows: int) -> None:
    def order(window: int, count: int) -> np.ndarray:
        return np.random.default_rng([window, count]).permutation(count)

    found = list(shuffle_rows(batches(sizes), rows, order))
    total = sum(sizes)
    expected = [
        start + place
        for window, start in enumerate(range(0, total, rows))
        for place in order(window, min(rows, total - start)).tolist()
    ]
    assert ids(found) == expected
    described = [
        located.origin.moved(1).describe(offset - 1)
        for located in found
        for offset in range(located.batch.num_rows)
    ]
    assert described == [names(sizes)[number] for number in expected]
