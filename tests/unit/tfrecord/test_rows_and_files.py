"""Rows to files and back, without Spark."""

from __future__ import annotations

import gzip
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.errors import ConfigurationError, DataError, NullValueError
from tensorsparkml.storage import move_file
from tensorsparkml.tfrecord.source import commit, writing
from tensorsparkml.tfrecord.source.commit import Job, StreamJob, WrittenFile
from tensorsparkml.tfrecord.source.files import files_of, parts_of
from tensorsparkml.tfrecord.source.options import Options, parse_options
from tensorsparkml.tfrecord.source.rows import RowReader
from tensorsparkml.tfrecord.source.writing import TaskWriter
from tfrecord_bytes import framed, header
from tfrecord_tables import tables

NUMBERS = pa.schema([("n", pa.int64())])


def options_of(path: object, **given: str) -> Options:
    return parse_options({"path": str(path), **given})


def written(options: Options, *tasks: pa.RecordBatch, overwrite: bool = False) -> Job:
    """Write what tasks have, and commit it."""
    job = Job(options.paths[0], overwrite=overwrite, dynamic=options.replaces_partitions)
    files = []
    for number, batch in enumerate(tasks):
        writer = TaskWriter(batch.schema, options, job.staging, number, uuid.uuid4().hex)
        files += writer.write([batch])
    job.commit(files)
    return job


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


def rows_of(options: Options, schema: pa.Schema) -> list[dict[str, Any]]:
    files = files_of(options)
    reader = RowReader(schema, frozenset(), options)
    found: list[dict[str, Any]] = []
    for parts in parts_of(files, [{} for _ in files], options):
        for part in parts:
            for batch in reader.read(part):
                assert batch.schema.equals(schema)
                found += batch.to_pylist()
    return found


@pytest.fixture(scope="module", params=["file", "memory"])
def folders(request: Any, tmp_path_factory: Any) -> Iterator[Iterator[str]]:
    """Empty folders, on local disk and on another filesystem."""

    def names() -> Iterator[str]:
        for number in range(10**6):
            if request.param == "file":
                yield str(tmp_path_factory.getbasetemp() / f"rows-{number}")
            else:
                yield f"memory://rows-{number}"

    yield names()
    fsspec.filesystem("memory").store.clear()


@given(
    table=tables(),
    compression=st.sampled_from(["none", "gzip", "zlib"]),
    cut=st.integers(0, 6),
    most=st.sampled_from(["1", "2", "100"]),
)
def test_rows_come_back(
    folders: Iterator[str], table: Any, compression: str, cut: int, most: str
) -> None:
    sequences, columns, rows = table
    kind = "SequenceExample" if sequences else "Example"
    options = options_of(
        next(folders), recordType=kind, compression=compression, maxRecordsPerFile=most
    )
    schema = pa.schema([(column.name, column.type) for column in columns])
    names = [column.name for column in columns]
    expected = [dict(zip(names, row, strict=True)) for row in rows]
    batches = [
        pa.RecordBatch.from_pylist(part, schema)
        for part in (expected[:cut], expected[cut:])
        if part
    ]
    written(options, *batches)
    if expected:
        reading = options_of(options.paths[0], recordType=kind)
        assert rows_of(reading, schema) == expected
        assert len(files_of(options)) == sum(-(-b.num_rows // int(most)) for b in batches)


def test_the_same_rows_have_the_same_bytes(tmp_path: Path) -> None:
    batch = pa.RecordBatch.from_pylist([{"n": number} for number in range(100)], NUMBERS)
    for name in ("a", "b"):
        written(options_of(tmp_path / name, compression="gzip"), batch)
    first, second = (next((tmp_path / name).glob("*.gz")).read_bytes() for name in ("a", "b"))
    assert first == second


def test_raw_bytes(tmp_path: Path) -> None:
    schema = pa.schema([("byteArray", pa.binary())])
    options = options_of(tmp_path, recordType="ByteArray")
    rows = [{"byteArray": b"any"}, {"byteArray": b""}]
    written(options, pa.RecordBatch.from_pylist(rows, schema))
    assert rows_of(options, schema) == rows


def test_what_is_there_stays_or_goes_away(tmp_path: Path) -> None:
    def some(*numbers: int) -> pa.RecordBatch:
        rows = [{"n": number, "day": number % 2} for number in numbers]
        return pa.RecordBatch.from_pylist(rows, pa.schema([*NUMBERS, ("day", pa.int64())]))

    def found() -> list[int]:
        return sorted(row["n"] for row in rows_of(options, NUMBERS))

    options = options_of(tmp_path, partitionBy="day")
    written(options, some(1, 2, 3))
    written(options, some(4))
    assert found() == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_SUCCESS", "day=0", "day=1"]
    dynamic = {"partitionOverwriteMode": "dynamic"}
    written(options_of(tmp_path, partitionBy="day", **dynamic), some(5), overwrite=True)
    assert found() == [2, 4, 5]
    written(options, some(6), overwrite=True)
    assert found() == [6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_SUCCESS", "day=0"]
    # Without columns that name folders, all of it is one partition.
    written(options_of(tmp_path, **dynamic), some(7), overwrite=True)
    assert found() == [7]
    written(options_of(tmp_path, **dynamic), overwrite=True)
    assert list(tmp_path.glob("part-*")) == []


def test_nobody_sees_a_job_that_has_not_ended(tmp_path: Path) -> None:
    options = options_of(tmp_path)
    batch = pa.RecordBatch.from_pylist([{"n": 1}], NUMBERS)
    written(options, batch)
    job = Job(str(tmp_path), overwrite=True, dynamic=False)
    first = TaskWriter(NUMBERS, options, job.staging, 0, "first").write([batch])
    second = TaskWriter(NUMBERS, options, job.staging, 0, "second").write([batch])
    assert rows_of(options, NUMBERS) == [{"n": 1}]
    other = Job(str(tmp_path), overwrite=True, dynamic=False)
    other.commit(TaskWriter(NUMBERS, options, other.staging, 0, "other").write([batch]))
    job.commit(second)  # the first attempt was repeated; another job has ended meanwhile
    assert rows_of(options, NUMBERS) == [{"n": 1}]
    assert first[0].name != second[0].name
    failed = Job(str(tmp_path), overwrite=True, dynamic=False)
    TaskWriter(NUMBERS, options, failed.staging, 0, "failed").write([batch])
    failed.abort()
    failed.abort()  # Spark may say it again
    assert len(list(tmp_path.iterdir())) == 2


def test_a_batch_that_is_committed_again_is_there_once(tmp_path: Path) -> None:
    options = options_of(tmp_path)
    job = StreamJob(str(tmp_path), "query")

    def task(number: int) -> list[WrittenFile]:
        batch = pa.RecordBatch.from_pylist([{"n": number}], NUMBERS)
        return TaskWriter(NUMBERS, options, job.staging, 0, uuid.uuid4().hex).write([batch])

    def found() -> list[int]:
        return sorted(row["n"] for row in rows_of(options, NUMBERS))

    job.commit(task(0), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "move_file", move_first_only())
        with pytest.raises(DataError, match="the disk is full"):
            job.commit(task(1) + task(2), 1)
    assert found() == [0]
    # The query is started again, and repeats the batch.
    job.commit(task(1) + task(2), 1)
    assert found() == [0, 1, 2]
    job.commit(task(1), 1)
    assert found() == [0, 1, 2]
    for number in (3, 4):
        StreamJob(str(tmp_path), "query").commit(task(number), number)
    assert found() == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.glob("_*/*")) == ["3.json", "4.json"]
    # What overwrites the files leaves the notes of the query.
    written(options, overwrite=True)
    job.commit(task(4), 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_SUCCESS", "_batches-query"]


def move_first_only() -> Any:
    """What moves the note of a batch, and none of its files."""

    def move(filesystem: Any, source: str, target: str) -> None:
        if not target.endswith(".json"):
            raise OSError("the disk is full")
        move_file(filesystem, source, target)

    return move


def test_large_rows_are_encoded_in_several_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MOST_BYTES", 1000)
    rows = [{"n": list(range(number))} for number in (100, 0, 500, 3, 3)]
    schema = pa.schema([("n", pa.list_(pa.int64()))])
    written(options_of(tmp_path), pa.RecordBatch.from_pylist(rows, schema))
    assert rows_of(options_of(tmp_path), schema) == rows


def test_void_columns_are_null(tmp_path: Path) -> None:
    written(options_of(tmp_path), pa.RecordBatch.from_pylist([{"n": 1}], NUMBERS))
    schema = pa.schema([("void", pa.null()), *NUMBERS])
    assert rows_of(options_of(tmp_path), schema) == [{"void": None, "n": 1}]


def test_a_column_that_is_not_nullable(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"n": 1}, {"n": None}]
    written(options_of(tmp_path), pa.RecordBatch.from_pylist(rows, NUMBERS))
    strict = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    with pytest.raises(DataError, match="no value for the column 'n', which is not nullable"):
        rows_of(options_of(tmp_path), strict)
    assert rows_of(options_of(tmp_path, mode="DROPMALFORMED"), strict) == [{"n": 1}]
    with pytest.raises(ConfigurationError, match="'n' is not nullable, but the mode PERMISSIVE"):
        rows_of(options_of(tmp_path, mode="PERMISSIVE"), strict)


RAW = pa.schema([("byteArray", pa.binary())])


@pytest.mark.parametrize(
    ("schema", "options", "message"),
    [
        ([("n", pa.int64())], {"partitionBy": "m"}, "no column 'm' to be partitioned by; they"),
        ([("n", pa.int64())], {"partitionBy": "n"}, "partitionBy names all columns"),
        (
            [("n", pa.int64()), ("m", pa.list_(pa.int64()))],
            {"partitionBy": "m"},
            "'m' has the type list<item: int64>, which gives no names",
        ),
        (
            [("n", pa.binary()), ("m", pa.binary())],
            {"recordType": "ByteArray"},
            "one column, of the type binary or string, not n binary, m binary",
        ),
        ([("n", pa.int64())], {"recordType": "ByteArray"}, "or string, not n int64"),
    ],
)
def test_rows_that_are_refused_before_a_task_starts(
    tmp_path: Path, schema: Any, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TaskWriter(pa.schema(schema), options_of(tmp_path, **options), "", 0, "")


def test_rows_that_are_refused_in_a_task(tmp_path: Path) -> None:
    nothing = pa.RecordBatch.from_pylist([{"byteArray": None}], RAW)
    with pytest.raises(NullValueError, match="'byteArray' has a null, for which a record of raw"):
        written(options_of(tmp_path, recordType="ByteArray"), nothing)
    assert files_below(tmp_path) == []


def test_the_type_of_the_corrupt_column() -> None:
    schema = pa.schema([("_corrupt_record", pa.int64())])
    with pytest.raises(ConfigurationError, match=r"'_corrupt_record' gets the bytes .*not int64"):
        RowReader(schema, frozenset(), options_of("a", mode="PERMISSIVE"))


def test_a_commit_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, batch = options_of(tmp_path), pa.RecordBatch.from_pylist([{"n": 1}], NUMBERS)
    written(options, batch)
    moved: list[str] = []

    def move(filesystem: Any, source: str, target: str) -> None:
        if moved:
            raise OSError("the disk is full")
        move_file(filesystem, source, target)
        moved.append(target)

    monkeypatch.setattr(commit, "move_file", move)
    monkeypatch.setattr(commit, "_AT_ONCE", 1)
    with pytest.raises(DataError, match="the disk is full"):
        written(options, batch, batch, overwrite=True)
    assert moved and not Path(moved[0]).exists()
    assert rows_of(options, NUMBERS) == [{"n": 1}]


RECORDS = [b"\x0a\x0c\x0a\x0a\x0a\x01n\x12\x05\x1a\x03\x0a\x01" + bytes([n]) for n in range(5)]


def damaged() -> bytes:
    """Five records, of which the second has a wrong checksum, and the fourth no length."""
    data = bytearray(framed(*RECORDS))
    size = len(data) // 5
    data[2 * size - 1] ^= 1
    data[3 * size + 3] ^= 1
    return bytes(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
@pytest.mark.parametrize("split", ["true", "false"])
def test_malformed_records(tmp_path: Path, pack: Any, split: str) -> None:
    (tmp_path / "bad").write_bytes(pack(damaged()))
    size = len(damaged()) // 5
    settings = {"splitFiles": split, "maxPartitionBytes": str(size + 1)}
    with pytest.raises(
        DataError, match=rf"bad has a malformed record at byte {size}: the checksum of its data"
    ):
        rows_of(options_of(tmp_path, **settings), NUMBERS)
    options = options_of(tmp_path, **settings, mode="DROPMALFORMED")
    assert rows_of(options, NUMBERS) == [{"n": 0}, {"n": 2}, {"n": 4}]
    schema = pa.schema([*NUMBERS, ("_corrupt_record", pa.binary())])
    found = rows_of(options_of(tmp_path, **settings, mode="PERMISSIVE"), schema)
    assert [row["n"] for row in found] == [0, None, 2, None, 4]
    assert found[1]["_corrupt_record"] == RECORDS[1]
    assert found[3]["_corrupt_record"].startswith(damaged()[3 * size : 4 * size])
    assert found[0]["_corrupt_record"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no records at all", "malformed record at byte 0: the length of a record has a wrong"),
        (framed(b"\xff"), "malformed record at byte 0: it ends within a number"),
        (header(2**60), "a record has 1,152,921,504,606,846,976 bytes; the most are"),
        (framed(RECORDS[0])[:-3], "it ends within a record of 14 bytes; set the option mode"),
        (gzip.compress(framed(*RECORDS))[:-9], "its compressed data is damaged: it ends too early"),
        (b"text" + framed(*RECORDS), "byte 0: the length of a record has a wrong checksum"),
        (zlib.compress(framed(*RECORDS))[:-9], "its compressed data is damaged: it ends too early"),
    ],
    # Not the content, in which gzip has the time.
    ids=["text", "message", "length", "truncated", "gzip", "start", "zlib"],
)
def test_damage_is_told_with_file_and_place(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        rows_of(options_of(tmp_path), NUMBERS)
    assert str(tmp_path / "bad") in str(caught.value)


def test_records_before_compressed_data_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(gzip.compress(framed(*RECORDS)) + gzip.compress(b"x")[:9])
    found = rows_of(options_of(tmp_path, mode="DROPMALFORMED"), NUMBERS)
    assert [row["n"] for row in found] == [0, 1, 2, 3, 4]


def deflated(data: bytes, window: int) -> bytes:
    compressor = zlib.compressobj(wbits=window)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(framed(*RECORDS[:2])) + gzip.compress(framed(*RECORDS[2:])),
        gzip.compress(framed(*RECORDS)) + bytes(500),
        zlib.compress(framed(*RECORDS[:1])) + zlib.compress(framed(*RECORDS[1:])),
        deflated(framed(*RECORDS), 9),
        zlib.compress(framed(*RECORDS), 0),
    ],
    ids=["members", "padding", "members of zlib", "small window", "stored"],
)
def test_compressed_data_of_any_writer(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some").write_bytes(content)
    assert [row["n"] for row in rows_of(options_of(tmp_path), NUMBERS)] == [0, 1, 2, 3, 4]


def test_files_without_records(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "packed").write_bytes(gzip.compress(b""))
    assert rows_of(options_of(tmp_path), NUMBERS) == []
    # Rows without columns are counted, and not looked into.
    (tmp_path / "some").write_bytes(framed(b"\xff", b"\xff"))
    assert rows_of(options_of(tmp_path), pa.schema([])) == [{}, {}]


def test_a_feature_without_values_is_empty_or_null(tmp_path: Path) -> None:
    schema = pa.schema([("n", pa.list_(pa.int64()))])
    rows: list[dict[str, Any]] = [{"n": []}, {"n": None}, {"n": [1]}]
    written(options_of(tmp_path), pa.RecordBatch.from_pylist(rows, schema))
    assert rows_of(options_of(tmp_path), schema) == rows
    options = options_of(tmp_path, emptyLists="null")
    assert rows_of(options, schema) == [{"n": None}, {"n": None}, {"n": [1]}]
