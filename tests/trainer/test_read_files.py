"""Files as `tf.data` datasets, as a single node's program gets them; nodes are simulated."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.data.columns.options import Column, Matrix
from tensorsparkml.data.files.listing import find_files
from tensorsparkml.data.files.parquet import ParquetFiles
from tensorsparkml.data.files.tfrecord import TFRecordFiles
from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    EmptyFeedError,
    MissingColumnError,
    UnsupportedColumnError,
)
from tensorsparkml.trainer.context import Context, Settings
from tensorsparkml.trainer.datasets.data_feed import DataFeed
from tensorsparkml.trainer.datasets.file_reader import FileReader, Shuffle
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter
from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout, local_dataset
from tensorsparkml.trainer.datasets.tfrecord_dataset import tfrecord_dataset

SIZES = [(17, 2, 8), (20, 3, 4), (7, 2, 1), (5, 2, 3), (100, 3, 10), (4, 4, 9), (9, 1, 4)]
BATCHES = [
    (rows, nodes, size, drop)
    for rows, nodes, size in SIZES
    for drop in ([False, True] if rows // nodes >= size else [False])
]


class Gathering:
    """The exchange of nodes that are threads; values go through JSON as between processes."""

    def __init__(self, nodes: int) -> None:
        self._values: list[Any] = [None] * nodes
        self._barrier = threading.Barrier(nodes)

    def of(self, rank: int) -> Any:
        def all_gather(value: Any) -> list[Any]:
            self._values[rank] = json.loads(json.dumps(value))
            self._barrier.wait(timeout=300)
            return list(self._values)

        return all_gather


def on_all(nodes: int, open_files: Any) -> list[Any]:
    gathering = Gathering(nodes)
    with ThreadPoolExecutor(nodes) as pool:
        return list(pool.map(lambda rank: open_files(rank, gathering.of(rank)), range(nodes)))


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    peers = (Peer(0, "chief", 0, "127.0.0.1", 1, 2, str(tmp_path)),)
    settings = Settings(
        agent="",
        coordinator="",
        credentials=Credentials(""),
        datasets_key="",
        peers=peers,
        rank=0,
        agent_process=0,
        lease_seconds=30.0,
        readers=1,
        serves=False,
        default_fs="file:///",
        working_dir=str(tmp_path),
        log_dir="",
        spool_dir=str(tmp_path / "s"),
    )
    return Context(settings, None)  # type: ignore[arg-type]


def write_parquet(path: Path, rows: int, group: int = 6) -> str:
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "x": pa.array([[n, n + 0.5] for n in range(rows)], pa.list_(pa.float32())),
            "w": pa.array([2.0] * rows, pa.float64()),
        }
    )
    pq.write_table(table, path, row_group_size=group)
    return str(path)


def example(number: int) -> bytes:
    feature = {
        "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=[number, number + 0.5])),
        "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(number).encode()])),
    }
    data = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    return bytes(data)


def write_tfrecords(folder: Path, files: list[int], compression: str = "") -> str:
    folder.mkdir(exist_ok=True)
    start = 0
    for number, rows in enumerate(files):
        path = folder / f"{number:03}.tfrecord{'.gz' if compression else ''}"
        with tf.io.TFRecordWriter(str(path), compression) as writer:
            for row in range(start, start + rows):
                writer.write(example(row))
        start += rows
    return str(folder)


def sizes_and_ids(dataset: Any) -> tuple[list[int], list[int]]:
    found = [batch["id"].numpy().tolist() for batch in dataset]
    return [len(ids) for ids in found], [number for ids in found for number in ids]


def check(passes: list[tuple[list[int], list[int]]], rows: int, drop: bool, size: int) -> None:
    """What all nodes read in one pass."""
    assert len({len(sizes) for sizes, _ in passes}) == 1
    ids = [number for _, found in passes for number in found]
    assert len(ids) == len(set(ids))
    if drop:
        assert all(count == size for sizes, _ in passes for count in sizes)
        assert len(ids) == rows // len(passes) // size * size * len(passes)
    else:
        assert sorted(ids) == list(range(rows))
        assert all(count for sizes, _ in passes for count in sizes)


@pytest.mark.parametrize("shuffle", [None, Shuffle(5, 10)])
@pytest.mark.parametrize(("rows", "nodes", "size", "drop"), BATCHES)
def test_parquet_on_several_nodes(
    tmp_path: Path, rows: int, nodes: int, size: int, drop: bool, shuffle: Shuffle | None
) -> None:
    uri = write_parquet(tmp_path / "a.parquet", rows)
    opened = on_all(
        nodes, lambda rank, gather: ParquetFiles(find_files([uri]), rank, nodes, gather)
    )
    datasets = []
    for rank, files in enumerate(opened):
        reader = FileReader(files, rank, nodes, shuffle=shuffle)
        layout = BatchLayout(None, None, None)
        datasets.append(local_dataset(reader, layout, {}, size, drop))
    for _ in range(2):
        check([sizes_and_ids(dataset) for dataset in datasets], rows, drop, size)


@pytest.mark.parametrize("shuffle", [None, Shuffle(5, 10)])
@pytest.mark.parametrize(("rows", "nodes", "size", "drop"), BATCHES)
def test_tfrecords_on_several_nodes(
    tmp_path: Path, rows: int, nodes: int, size: int, drop: bool, shuffle: Shuffle | None
) -> None:
    uri = write_tfrecords(tmp_path / "t", [rows // 3, 0, rows - rows // 3])
    opened = on_all(
        nodes,
        lambda rank, gather: TFRecordFiles(find_files([uri]), rank, nodes, gather, tmp_path / "c"),
    )
    datasets = [
        tfrecord_dataset(
            files, rank, nodes, layout=BatchLayout(None, None, None), schema=None, batch_size=size,
            drop_remainder=drop, shuffle=shuffle, reporter=ProgressReporter(),
        )
        for rank, files in enumerate(opened)
    ]  # fmt: skip
    for _ in range(2):
        check([sizes_and_ids(dataset) for dataset in datasets], rows, drop, size)


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_order_follows_from_the_seed(ctx: Context, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        uri, read = write_parquet(tmp_path / "a.parquet", 60), ctx.read_parquet
    else:
        uri, read = write_tfrecords(tmp_path / "t", [20, 20, 20]), ctx.read_tfrecord

    def passes(seed: int | None) -> list[list[int]]:
        dataset = read(uri, batch_size=7, shuffle=seed is not None, seed=seed, shuffle_rows=15)
        return [sizes_and_ids(dataset)[1] for _ in range(2)]

    assert passes(None) == [list(range(60))] * 2
    first, second = passes(1)
    assert passes(1) == [first, second]
    assert first != second
    assert sorted(first) == sorted(second) == list(range(60))
    assert passes(2)[0] != first


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_elements_are_those_of_any_dataset(ctx: Context, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        uri, read = write_parquet(tmp_path / "a.parquet", 10), ctx.read_parquet
    else:
        uri, read = write_tfrecords(tmp_path / "t", [10]), ctx.read_tfrecord
    x, y, weight = next(
        iter(read(uri, batch_size=4, features={"in": "x"}, label="id", sample_weight=True))
    )
    assert x["in"].numpy().tolist() == [[n, n + 0.5] for n in range(4)]
    assert y.numpy().tolist() == [0, 1, 2, 3]
    assert weight.numpy().tolist() == [1.0] * 4
    full = read(uri, batch_size=4, features="x", drop_remainder=True)
    assert full.element_spec.shape == (4, 2)
    assert [len(batch) for batch in full] == [4, 4]
    assert len(list(read(uri, batch_size=4, features="x"))) == 3
    with pytest.raises(MissingColumnError, match="'nose'"):
        read(uri, batch_size=4, features="nose")


def test_columns_of_parquet(ctx: Context, tmp_path: Path) -> None:
    uri = write_parquet(tmp_path / "a.parquet", 10)
    only = ctx.read_parquet(uri, batch_size=4, columns=["x"], convert={"x": Column(shape=(2, 1))})
    assert {name: spec.shape.as_list() for name, spec in only.element_spec.items()} == {
        "x": [None, 2, 1]
    }
    x, y, weight = next(
        iter(
            ctx.read_parquet(
                uri, batch_size=4, columns=["x"], label="id", sample_weight="w"
            )
        )
    )  # fmt: skip
    assert set(x) == {"x"} and y.shape == (4,) and weight.numpy().tolist() == [2.0] * 4


def test_an_error_names_the_row_of_a_file(ctx: Context, tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([1.0, 2.0, None, 4.0], pa.float32())})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    dataset = ctx.read_parquet(tmp_path / "a.parquet", batch_size=4)
    expected = "NullValueError: .* row 0 of row group 1 of .*a.parquet"
    with pytest.raises(tf.errors.UnknownError, match=expected):
        list(dataset)


def test_fewer_rows_than_nodes(ctx: Context, tmp_path: Path) -> None:
    with pytest.raises(EmptyFeedError, match=r"a.parquet has 0 rows for 1 node"):
        ctx.read_parquet(write_parquet(tmp_path / "a.parquet", 0), batch_size=4)
    with pytest.raises(EmptyFeedError, match=r"000.tfrecord has 0 rows for 1 node"):
        ctx.read_tfrecord(write_tfrecords(tmp_path / "t", [0]), batch_size=4)


def test_no_batch_is_full(ctx: Context, tmp_path: Path) -> None:
    expected = r"has 3 rows for 1 node, so no batch of 4 rows is full .* use batch_size=3 or less"
    with pytest.raises(EmptyFeedError, match=expected):
        ctx.read_tfrecord(write_tfrecords(tmp_path / "t", [3]), batch_size=4, drop_remainder=True)
    parquet = write_parquet(tmp_path / "a.parquet", 3)
    dataset = ctx.read_parquet(parquet, batch_size=4, drop_remainder=True)
    with pytest.raises(tf.errors.UnknownError, match=f"EmptyFeedError: .*{expected}"):
        list(dataset)


def test_a_data_feed_of_files(tmp_path: Path) -> None:
    uri = write_parquet(tmp_path / "a.parquet", 25_000)
    reports: list[FeedProgress] = []
    reporter = ProgressReporter(reports.append)
    [files] = on_all(1, lambda rank, gather: ParquetFiles(find_files([uri]), rank, 1, gather))
    feed = DataFeed(
        FileReader(files, 0, 1, passes=2, reporter=reporter, columns=["id"]), ["id"], {}
    )
    ids = []
    while not feed.should_stop():
        ids += feed.next_batch(10_000)["id"].tolist()
    assert ids == [*range(25_000)] * 2
    assert reports[-1] == FeedProgress(2, 50_000)
    assert feed.next_batch(1) == {}


def test_a_data_feed_that_ends_early(tmp_path: Path) -> None:
    uri = write_parquet(tmp_path / "a.parquet", 20)
    [files] = on_all(1, lambda rank, gather: ParquetFiles(find_files([uri]), rank, 1, gather))
    reporter = ProgressReporter()
    feed = DataFeed(FileReader(files, 0, 1, reporter=reporter), None, {})
    assert len(feed.next_batch(5)["id"]) == 5
    feed.terminate()
    assert feed.should_stop()
    assert reporter.progress == FeedProgress(0, 5, True)


# TFRecords


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_what_tensorflow_wrote(ctx: Context, tmp_path: Path, compression: str) -> None:
    uri = write_tfrecords(tmp_path / "t", [5, 3], compression)
    [batch] = ctx.read_tfrecord(uri, batch_size=10)
    assert batch["id"].numpy().tolist() == list(range(8))
    assert batch["name"].numpy().tolist() == [str(n).encode() for n in range(8)]
    assert np.array_equal(batch["x"].numpy(), [[n, n + 0.5] for n in range(8)])


def test_a_schema(ctx: Context, tmp_path: Path) -> None:
    uri = write_tfrecords(tmp_path / "t", [3])
    schema = {
        "x": tf.io.FixedLenFeature((2, 1), tf.float32),
        "absent": tf.io.FixedLenFeature((), tf.int64, default_value=-1),
        "id": tf.io.VarLenFeature(tf.int64),
    }
    [batch] = ctx.read_tfrecord(uri, batch_size=3, schema=schema)
    assert batch["x"].shape == (3, 2, 1)
    assert batch["absent"].numpy().tolist() == [-1] * 3
    assert tf.sparse.to_dense(batch["id"]).numpy().tolist() == [[0], [1], [2]]


def test_a_schema_that_does_not_match(ctx: Context, tmp_path: Path) -> None:
    uri = write_tfrecords(tmp_path / "t", [3])
    for wrong in ({"nose": tf.io.FixedLenFeature((), tf.int64)},
                  {"x": tf.io.FixedLenFeature((), tf.int64)},
                  {"x": tf.io.FixedLenFeature((3,), tf.float32)}):  # fmt: skip
        expected = r"has id \(int64_list\), name \(bytes_list\), x \(float_list\)"
        with pytest.raises(DataError, match=expected):
            ctx.read_tfrecord(uri, batch_size=3, schema=wrong)


def test_records_that_are_no_examples(ctx: Context, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(b"\xff\xff")
    with pytest.raises(DataError, match=r"a.tfrecord is not a tf.train.Example"):
        ctx.read_tfrecord(str(tmp_path / "a.tfrecord"), batch_size=1)


@pytest.mark.parametrize("packed", [False, True])
def test_a_corrupt_record_is_found(ctx: Context, tmp_path: Path, packed: bool) -> None:
    uri = write_tfrecords(tmp_path / "t", [3, 6000])
    path = tmp_path / "t" / "001.tfrecord"
    data = bytearray(path.read_bytes())
    place = data.index(example(5500))
    data[place + 3] ^= 1
    path.write_bytes(gzip.compress(bytes(data)) if packed else data)
    dataset = ctx.read_tfrecord(uri, batch_size=100)
    with pytest.raises(tf.errors.DataLossError) as caught:
        list(dataset)
    explained = ctx._explain(caught.value)
    assert explained is not None
    assert "001.tfrecord is corrupt at record 5497 (the first is 0)" in explained.message
    assert ctx._explain(ValueError()) is None


def test_fields_and_masks_of_parquet(ctx: Context, tmp_path: Path) -> None:
    person = pa.array([{"age": 3}, {"age": None}], pa.struct([("age", pa.int32())]))
    pq.write_table(pa.table({"person": person, "other": ["a", "b"]}), tmp_path / "a.parquet")
    [batch] = ctx.read_parquet(
        str(tmp_path / "a.parquet"),
        batch_size=2,
        features=("person.age", "person.age_mask"),
        convert={"person.age": Column(fill=7, mask=True)},
    )
    assert [column.numpy().tolist() for column in batch] == [[3, 7], [True, False]]


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_many_columns_are_one_tensor(ctx: Context, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        uri, read = write_parquet(tmp_path / "a.parquet", 6), ctx.read_parquet
    else:
        uri, read = write_tfrecords(tmp_path / "t", [2, 4]), ctx.read_tfrecord
    features = {"both": Matrix(["x", "id"]), "id": "id"}
    dataset = read(uri, batch_size=4, features=features, label=Matrix("i?", "int64"))
    assert dataset.element_spec[0]["both"].shape.as_list() == [None, 3]
    batches = list(dataset)
    both = np.concatenate([x["both"] for x, _ in batches])
    assert both.tolist() == [[n, n + 0.5, n] for n in range(6)]
    assert np.concatenate([y for _, y in batches]).tolist() == [[n] for n in range(6)]
    # Where no features are named, they are all that the label does not hold.
    [(x, _)] = list(read(uri, batch_size=6, label=Matrix(["id"])))
    assert "id" not in x and "x" in x


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_a_matrix_needs_columns_that_are_there(ctx: Context, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        uri, read = write_parquet(tmp_path / "a.parquet", 6), ctx.read_parquet
    else:
        uri, read = write_tfrecords(tmp_path / "t", [6]), ctx.read_tfrecord
    for wanted, message in ((["id", "none"], "no .* 'none'"), ("none*", r"a name like 'none\*'")):
        with pytest.raises(MissingColumnError, match=message):
            read(uri, batch_size=4, features=Matrix(wanted))


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (Matrix(["id", "name"]), UnsupportedColumnError, "feature 'name' cannot be a column"),
        (Matrix(["x", "id"], "int64"), UnsupportedColumnError, "feature 'x' has .* float32"),
        (Matrix(["id"], fill=0), ConfigurationError, "records have no nulls.*default_value"),
    ],
)
def test_features_of_records_that_a_matrix_cannot_hold(
    ctx: Context, tmp_path: Path, matrix: Matrix, error: type[Exception], message: str
) -> None:
    uri = write_tfrecords(tmp_path / "t", [6])
    with pytest.raises(error, match=message):
        ctx.read_tfrecord(uri, batch_size=4, features=matrix)
