"""Segments: rows, their order and their origins come back, without copies."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorsparkml.data.spool.segments import LocatedBatch, Origin, RowReader, SegmentWriter

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])

batch_sizes = st.lists(st.integers(0, 6), max_size=5)


def located(first_id: int, rows: int, origin: Origin) -> LocatedBatch:
    ids = range(first_id, first_id + rows)
    columns = [pa.array(ids, pa.int64()), pa.array([f"row {i}" for i in ids], pa.string())]
    return LocatedBatch(pa.record_batch(columns, schema=SCHEMA), origin)


def write_segment(path: Path, batches: Iterable[LocatedBatch]) -> None:
    writer = SegmentWriter(path, SCHEMA)
    for batch in batches:
        writer.write(batch)
    writer.finish()


def ids_of(slices: Iterable[LocatedBatch]) -> list[int]:
    found = [row for part in slices for row in part.batch.to_pylist()]
    assert all(row["text"] == f"row {row['id']}" for row in found)
    return [row["id"] for row in found]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


@settings(max_examples=60)
@given(st.lists(batch_sizes, max_size=4), st.data())
def test_any_range_of_rows_comes_back_in_order(
    segments: list[list[int]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as directory:
        reader, row = RowReader(), 0
        for number, sizes in enumerate(segments):
            path, first = Path(directory, f"{number}.arrow"), row
            batches = []
            for rows in sizes:
                # The origin's row tells the id: both count on through all segments.
                batches.append(located(row, rows, Origin(number, 1000 + row)))
                row += rows
            write_segment(path, batches)
            reader.append(str(path), row - first)
        assert (reader.segments, reader.rows) == (len(segments), row)

        for _ in range(4):
            start = data.draw(st.integers(0, row), "start")
            count = data.draw(st.integers(0, row - start), "count")
            slices = reader.read(start, count)
            assert ids_of(slices) == list(range(start, start + count))
            assert all(part.batch.num_rows for part in slices)
            for part in slices:
                first_id = part.batch.column("id")[0].as_py()
                assert part.origin.row == 1000 + first_id
                assert first_id in range(
                    sum(map(sum, segments[: part.origin.partition])),
                    sum(map(sum, segments[: part.origin.partition + 1])),
                )


def test_reading_copies_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_segment(path, [located(0, 10_000, Origin(0, 0)), located(10_000, 10_000, Origin(0, 1))])
    reader = RowReader()
    reader.append(str(path), 20_000)
    gc.collect()
    before = pa.total_allocated_bytes()

    whole, part = reader.read(0, 20_000), reader.read(5_000, 2_000)

    assert pa.total_allocated_bytes() == before
    # The same rows lie at the same address: both are views of the file.
    buffers = [slices[0].batch.column("id").buffers()[1] for slices in (whole, part)]
    assert buffers[0].address == buffers[1].address
    assert part[0].batch.column("id").offset == 5_000


def test_a_segment_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "0.1-7.arrow"
    writer = SegmentWriter(path, SCHEMA)
    writer.write(located(0, 3, Origin(0, 0)))
    assert not path.exists()
    writer.finish()
    assert files(tmp_path) == ["0.1-7.arrow"]


def test_segments_that_are_written_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    names = ["0.1-7", "0.1-8", "0.2-7"]
    writers = [SegmentWriter(tmp_path / f"{name}.arrow", SCHEMA) for name in names]
    for number, writer in enumerate(writers):
        writer.write(located(number, 1, Origin(0, 0)))
    for number, (name, writer) in enumerate(zip(names, writers, strict=True)):
        writer.finish()
        reader = RowReader()
        reader.append(str(tmp_path / f"{name}.arrow"), 1)
        assert ids_of(reader.read(0, 1)) == [number]


def test_an_abandoned_segment_leaves_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.arrow", SCHEMA)
    writer.write(located(0, 3, Origin(0, 0)))
    writer.abandon()
    assert files(tmp_path) == []


@pytest.mark.parametrize(("start", "count"), [(0, 4), (3, 1), (7, 1)])
def test_rows_that_are_not_there_are_an_error(tmp_path: Path, start: int, count: int) -> None:
    write_segment(tmp_path / "a.arrow", [located(0, 3, Origin(0, 0))])
    reader = RowReader()
    reader.append(str(tmp_path / "a.arrow"), 3)
    with pytest.raises(IndexError):
        reader.read(start, count)


@given(st.integers(0, 2**40), st.integers(0, 2**60), st.integers(0, 2**30))
def test_an_origin_survives_and_names_rows(partition: int, row: int, offset: int) -> None:
    origin = Origin(partition, row)
    assert Origin.decode(pa.py_buffer(origin.encode())) == origin
    assert origin.describe(offset) == f"row {row + offset} of partition {partition}"
    assert origin.moved(offset).describe(0) == origin.describe(offset)


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(),
    reason="only Linux lists what a process has mapped in /proc/self/maps",
)
def test_a_feed_of_many_segments_keeps_few_files_open(tmp_path: Path) -> None:
    reader, count = RowReader(), 400
    for number in range(count):
        path = tmp_path / f"{number}.arrow"
        write_segment(path, [located(number, 1, Origin(number, 0))])
        reader.append(str(path), 1)

    def in_use() -> tuple[int, int]:
        gc.collect()
        files = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
        opened = [link for link in files if link.resolve().parent == tmp_path]
        return len(opened), Path("/proc/self/maps").read_text().count(str(tmp_path))

    for _ in range(2):
        assert ids_of(reader.read(0, count)) == list(range(count))
        assert max(in_use()) <= 64
    kept = reader.read(0, count)
    assert in_use()[0] <= 64  # rows that are in use need their mapping alone
    assert ids_of(kept) == list(range(count))
    reader.close()
    del kept
    assert in_use() == (0, 0)


def test_nothing_remains_of_segments_that_were_dropped(tmp_path: Path) -> None:
    reader = RowReader()
    for number in range(6):
        path = tmp_path / f"{number}.arrow"
        write_segment(path, [located(10 * number, 10, Origin(number, 0))])
        reader.append(str(path), 10)
    assert ids_of(reader.read(25, 10)) == list(range(25, 35))
    assert reader.drop(34) == 30
    assert reader.drop(34) == 0
    assert (reader.segments, reader.dropped_segments, reader.dropped_rows) == (6, 3, 30)
    assert files(tmp_path) == ["3.arrow", "4.arrow", "5.arrow"]
    assert ids_of(reader.read(30, 30)) == list(range(30, 60))
    assert ids_of([reader.first_batch()]) == list(range(30, 40))
    with pytest.raises(ValueError, match="row 29 was dropped; the first row is 30"):
        reader.read(29, 2)
    assert reader.drop(60) == 30
    assert (reader.segments, reader.rows, files(tmp_path)) == (6, 60, [])
    write_segment(tmp_path / "6.arrow", [located(60, 10, Origin(6, 0))])
    reader.append(str(tmp_path / "6.arrow"), 10)
    assert ids_of(reader.read(60, 10)) == list(range(60, 70))
