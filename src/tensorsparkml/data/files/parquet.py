"""Parquet files: what is in them, found by all nodes together, and reading a node's share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow.fs import LocalFileSystem

from tensorsparkml.data.columns.names import needed_columns
from tensorsparkml.data.columns.options import Column, Wanted
from tensorsparkml.data.files.listing import FoundFile, partition_types
from tensorsparkml.data.files.row_counts import AllGather, exchange_counts, name_of
from tensorsparkml.data.files.sharding import Part, Piece, parts_of, share_rows
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.errors import DataError
from tensorsparkml.storage import arrow_filesystem, translated_errors

_THREADS = 16  # that read footers, which is waiting where the files are far away
_BATCH_BYTES = 16 * 2**20
_MOST_ROWS = 65_536
_READ_AHEAD = 4  # record batches


@dataclass(frozen=True)
class FileOrigin(Origin):
    """Where a record batch of a file comes from; the partition is the row group.

    Attributes:
        file: Path of the file.
    """

    file: str

    def describe(self, offset: int) -> str:
        """Name the row at an offset of the batch."""
        return f"row {self.row + offset} of row group {self.partition} of {self.file}"

    def moved(self, offset: int) -> Origin:
        """Return the origin of the row at an offset of the batch."""
        return FileOrigin(self.partition, self.row + offset, self.file)


class ParquetFiles:
    """The files of one table.

    Each node reads the footers of every so many files, and all nodes exchange what they found.

    Args:
        files: The files, in the same order on every node.
        rank: Rank of this node.
        nodes: Number of nodes.
        all_gather: Exchanges values with the other nodes.

    Raises:
        DataError: A file is not Parquet, or the nodes see different files.
    """

    def __init__(
        self, files: Sequence[FoundFile], rank: int, nodes: int, all_gather: AllGather
    ) -> None:
        import pyarrow.dataset as ds  # loads pandas, which nodes without files do not need

        self._files = files
        self._rank = rank
        self._nodes = nodes
        self._format = ds.ParquetFileFormat()
        self._fragments: dict[int, Any] = {}
        self._partition_types = partition_types(files)
        self._filesystems = {id(f.filesystem): arrow_filesystem(f.filesystem) for f in files}
        mine = range(rank, len(files), nodes)
        self._load([0, *mine])
        self._read_here = mine
        counts = {index: self._row_groups(index) for index in mine}
        self.parts: list[Part] = parts_of(exchange_counts(files, counts, all_gather))

    @property
    def name(self) -> str:
        """The files as messages name them."""
        return name_of(self._files)

    @property
    def rows(self) -> int:
        """Number of rows of all files."""
        return sum(part.rows for part in self.parts)

    @property
    def share_rows(self) -> int:
        """Number of rows of this node's share, in every pass."""
        return share_rows(self.rows, self._nodes, self._rank)

    def schema(
        self, columns: Sequence[Wanted] | None, convert: Mapping[str, Column] | None = None
    ) -> pa.Schema:
        """Return the schema of the columns, those that the folders' names make included.

        Args:
            columns: Names of columns, of fields in them, or of their masks, and matrices; or None
                for all.
            convert: How columns become tensors, which says what has a mask.

        Raises:
            MissingColumnError: There is no such column.
            DataError: Files differ in one of the columns.
        """
        first = self._file_schema(0)
        partition = [
            pa.field(name, pa.int64() if kind is int else pa.string())
            for name, kind in self._partition_types.items()
        ]
        available = pa.schema(
            [*(field for field in first if field.name not in self._partition_types), *partition]
        )
        wanted = available
        if columns is not None:
            needed = needed_columns(available, columns, convert or {})
            wanted = pa.schema([available.field(name) for name in needed])
        for index in self._read_here:
            self._compare(wanted, first, index)
        return wanted

    def read(self, pieces: Sequence[Piece], schema: pa.Schema) -> Iterator[LocatedBatch]:
        """Read pieces in order, in the background a little ahead.

        Some row groups are in memory, and of a file that is not local, what was read of it.

        Args:
            pieces: The rows.
            schema: The columns, of `schema`.

        Raises:
            DataError: A file cannot be read, or has changed.
        """
        runs = list(_runs(pieces))
        if not runs:
            return
        whole = [part.rows for part in self.parts]
        by_place = dict(zip(((p.file, p.group) for p in self.parts), whole, strict=True))
        groups_of: dict[int, int] = {}
        for part in self.parts:
            groups_of[part.file] = groups_of.get(part.file, 0) + 1
        partial = {run[0].file for run in runs if len(run) < groups_of[run[0].file]}
        self._load(partial)
        fragments = [self._fragment(run, len(run) == groups_of[run[0].file]) for run in runs]
        columns = schema.names
        batch_rows = self._batch_rows(runs, columns)
        far_away = not isinstance(fragments[0].filesystem, LocalFileSystem)
        import pyarrow.dataset as ds

        with translated_errors(f"read {self.name}"):
            dataset = ds.FileSystemDataset(
                fragments, self._full_schema(schema), self._format, fragments[0].filesystem
            )
            scanned = dataset.scanner(
                columns=columns,
                batch_size=batch_rows,
                batch_readahead=_READ_AHEAD,
                # Larger requests, but what was read of a file stays in memory until its end.
                fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=far_away),
                fragment_readahead=1 if len(groups_of) < 2 else 2,
            ).scan_batches()
            for run in runs:
                yield from self._trimmed(run, by_place, scanned)

    def _trimmed(
        self, run: Sequence[Piece], rows_of: dict[tuple[int, int], int], scanned: Iterator[Any]
    ) -> Iterator[LocatedBatch]:
        """Yield the rows of pieces that one fragment holds, without those around them."""
        path = self._files[run[0].file].path
        for piece in run:
            place = 0
            rows = rows_of[piece.file, piece.group]
            while place < rows:
                found = next(scanned, None)
                if (
                    found is None
                    or found.fragment.path != path
                    or place + found.record_batch.num_rows > rows
                ):
                    raise DataError(f"{path} has changed while it was read")
                batch = found.record_batch
                first = max(piece.first - place, 0)
                last = min(piece.first + piece.rows - place, batch.num_rows)
                if first < last:
                    origin = FileOrigin(piece.group, place + first, path)
                    yield LocatedBatch(batch.slice(first, last - first), origin)
                place += batch.num_rows

    def _load(self, indexes: Sequence[int] | set[int] | range) -> None:
        missing = [index for index in dict.fromkeys(indexes) if index not in self._fragments]
        if not missing:
            return
        with ThreadPoolExecutor(min(_THREADS, len(missing))) as pool:
            for index, fragment in zip(missing, pool.map(self._open, missing), strict=True):
                self._fragments[index] = fragment

    def _open(self, index: int) -> Any:
        file = self._files[index]
        fragment = self._whole_file(index)
        with translated_errors(f"read {file.path}"):
            try:
                fragment.ensure_complete_metadata()
            except pa.ArrowInvalid as error:
                raise DataError(f"{file.path} is not a Parquet file: {error}") from error
        return fragment

    def _whole_file(self, index: int) -> Any:
        import pyarrow.dataset as ds

        file = self._files[index]
        expression = None
        for name, value in file.partition.items():
            field = ds.field(name)
            if value is None:
                test = field.is_null()
            else:
                test = field == (int(value) if self._partition_types[name] is int else value)
            expression = test if expression is None else expression & test
        return self._format.make_fragment(
            file.path, self._filesystems[id(file.filesystem)], expression
        )

    def _fragment(self, run: Sequence[Piece], whole: bool) -> Any:
        index = run[0].file
        if whole:
            return self._fragments.get(index) or self._whole_file(index)
        return self._fragments[index].subset(row_group_ids=[piece.group for piece in run])

    def _row_groups(self, index: int) -> list[int]:
        return [group.num_rows for group in self._fragments[index].row_groups]

    def _file_schema(self, index: int) -> pa.Schema:
        return self._fragments[index].physical_schema.remove_metadata()

    def _full_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return a schema that has the columns which the fragments' expressions are about, too."""
        for name, kind in self._partition_types.items():
            if name not in schema.names:
                schema = schema.append(pa.field(name, pa.int64() if kind is int else pa.string()))
        return schema

    def _compare(self, wanted: pa.Schema, first: pa.Schema, index: int) -> None:
        others = {field.name: field.type for field in self._file_schema(index)}
        for field in wanted:
            other = others.get(field.name)
            if field.name in self._partition_types or field.type == other:
                continue
            types = [str(field.type), "no such column" if other is None else str(other)]
            if types[0] != types[1]:
                raise DataError(
                    f"files differ in column {field.name!r}: {self._files[0].path} has {types[0]}, "
                    f"{self._files[index].path} has {types[1]}; rewrite one of them, or leave the "
                    "column out"
                )

    def _batch_rows(self, runs: Sequence[Sequence[Piece]], columns: Sequence[str]) -> int:
        """Return how many rows are about as many bytes as a record batch should have."""
        metadata = next(iter(self._fragments.values())).metadata
        if not metadata.num_row_groups or not metadata.row_group(0).num_rows:
            return _MOST_ROWS
        group, wanted = metadata.row_group(0), set(columns)
        chunks = (group.column(number) for number in range(group.num_columns))
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.partition(".")[0] in wanted
        )
        return int(min(max(_BATCH_BYTES * group.num_rows // max(size, 1), 64), _MOST_ROWS))


def _runs(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Group pieces that follow each other in a file."""
    run: list[Piece] = []
    for piece in pieces:
        if run and (piece.file, piece.group) != (run[-1].file, run[-1].group + 1):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run
