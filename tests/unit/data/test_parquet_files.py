"""Parquet files: counted by all nodes together, read piece by piece, and what can be wrong."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorsparkml.data.files.listing import find_files
from tensorsparkml.data.files.parquet import ParquetFiles
from tensorsparkml.data.files.sharding import Piece, share
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.errors import DataError, MissingColumnError


class Gathering:
    """The exchange of nodes that are threads."""

    def __init__(self, nodes: int) -> None:
        self._values: list[Any] = [None] * nodes
        self._barrier = threading.Barrier(nodes)

    def call(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._barrier.wait(timeout=300)
        return list(self._values)


def opened(nodes: int, *uris: str) -> list[ParquetFiles]:
    """The same files as all nodes see them."""
    gathering = Gathering(nodes)
    with ThreadPoolExecutor(nodes) as pool:
        return list(
            pool.map(
                lambda rank: ParquetFiles(
                    find_files(uris), rank, nodes, lambda value: gathering.call(rank, value)
                ),
                range(nodes),
            )
        )


def alone(*uris: str) -> ParquetFiles:
    return opened(1, *uris)[0]


def ids(batches: list[LocatedBatch]) -> list[int]:
    return [number for located in batches for number in located.batch.column("id").to_pylist()]


def write(folder: Path, files: list[int], group: int = 10) -> str:
    start = 0
    for number, rows in enumerate(files):
        numbers = range(start, start + rows)
        table = pa.table(
            {
                "id": pa.array(numbers, pa.int64()),
                "text": pa.array([str(n) for n in numbers]),
                "list": pa.array([[float(n)] * 3 for n in numbers], pa.list_(pa.float32())),
            }
        )
        folder.mkdir(exist_ok=True)
        pq.write_table(table, folder / f"{number:03}.parquet", row_group_size=group)
        start += rows
    return str(folder)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_all_nodes_read_each_row_once(tmp_path: Path, nodes: int) -> None:
    uri = write(tmp_path / "t", [23, 0, 8, 41])
    found = []
    for rank, files in enumerate(opened(nodes, uri)):
        assert (files.rows, files.share_rows) == (72, len(range(rank, 72, nodes)))
        part = list(files.read(share(files.parts, nodes, rank), files.schema(["id"])))
        assert part[0].batch.schema.names == ["id"]
        found += ids(part)
    assert found == list(range(72))


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(1, 10)), max_size=9))
def test_pieces_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[int, int, int]]
) -> None:
    """Seven row groups of ten rows in two files."""
    folder = tmp_path_factory.getbasetemp() / "seven"
    files = alone(str(folder) if folder.exists() else write(folder, [40, 30]))
    pieces = []
    for group, first, rows in chosen:
        file, inside = divmod(group, 4)
        pieces.append(Piece(file, inside, first, min(rows, 10 - first)))
    batches = list(files.read(pieces, files.schema(None)))
    assert ids(batches) == [
        40 * piece.file + 10 * piece.group + piece.first + row
        for piece in pieces
        for row in range(piece.rows)
    ]
    for located in batches:
        first = located.batch.column("id")[0].as_py()
        file, place = (0, first) if first < 40 else (1, first - 40)
        assert located.origin.describe(0) == (
            f"row {place % 10} of row group {place // 10} of {folder}/{file:03}.parquet"
        )


def test_columns_of_folders(tmp_path: Path) -> None:
    for year in (2024, 2025):
        write(tmp_path / f"year={year}", [3])
    files = alone(str(tmp_path))
    [first, second] = files.read(share(files.parts, 1, 0), files.schema(["year", "id"]))
    assert first.batch.to_pydict() == {"year": [2024] * 3, "id": [0, 1, 2]}
    assert second.batch.column("year").to_pylist() == [2025] * 3
    assert files.schema(None).names == ["id", "text", "list", "year"]
    [one, *_] = files.read([Piece(1, 0, 1, 1)], files.schema(["id"]))
    assert one.batch.to_pydict() == {"id": [1]}


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    files = alone(write(tmp_path / "t", [3]))
    expected = "no column 'nose' in the feed; it has id, text, list"
    with pytest.raises(MissingColumnError, match=expected):
        files.schema(["id", "nose"])


def test_files_that_differ(tmp_path: Path) -> None:
    uri = write(tmp_path / "t", [3])
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), tmp_path / "t" / "001.parquet")
    files = alone(uri)
    assert files.schema(["text"]).names == ["text"]  # what is not read may differ
    expected = r"differ in column 'id': .*000.parquet has int64, .*001.parquet has string"
    with pytest.raises(DataError, match=expected):
        files.schema(["id"])
    with pytest.raises(DataError, match=r"'list': .*float.*001.parquet has no such column"):
        files.schema(["list"])


def test_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"a.csv is not a Parquet file"):
        alone(str(tmp_path))


@pytest.mark.parametrize("rows", [2, 15, 50])
def test_a_file_that_changes(tmp_path: Path, rows: int) -> None:
    uri = write(tmp_path / "t", [30, 30, 30])
    [files, _] = opened(2, uri)  # this node has not looked into the second file
    write(tmp_path / "other", [rows])
    (tmp_path / "other" / "000.parquet").rename(tmp_path / "t" / "001.parquet")
    with pytest.raises(DataError, match=r"00[12].parquet has changed while it was read"):
        list(files.read(share(files.parts, 1, 0), files.schema(None)))


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    files = alone(write(tmp_path / "t", [30]))
    (tmp_path / "t" / "000.parquet").unlink()
    with pytest.raises(DataError, match=r"cannot read .*000.parquet: .*No such file"):
        list(files.read(share(files.parts, 1, 0), files.schema(None)))


def test_nodes_that_see_different_files(tmp_path: Path) -> None:
    write(tmp_path / "t", [3, 3])

    def others(value: Any) -> list[Any]:
        return [value, {"files": "something else", "rows": {}}]

    with pytest.raises(DataError, match=r"node 1 found other files.*000.parquet and 1 other"):
        ParquetFiles(find_files([str(tmp_path / "t")]), 0, 2, others)
