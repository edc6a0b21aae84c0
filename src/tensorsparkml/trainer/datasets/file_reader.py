"""Reading files: passes over the node's share of their rows, in lockstep with the other nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tensorsparkml.control.feeds.lockstep import ClosedFeed, PassCursor
from tensorsparkml.data.columns.options import Column, Wanted
from tensorsparkml.data.files.parquet import ParquetFiles
from tensorsparkml.data.files.sharding import share
from tensorsparkml.data.spool.row_stream import RowStream, shuffle_rows
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.data.spool.shuffle import shuffled, window_order
from tensorsparkml.errors import DataError
from tensorsparkml.trainer.datasets.feed_reader import Rows
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter


@dataclass(frozen=True)
class Shuffle:
    """How the rows of files are shuffled.

    Attributes:
        seed: Seed of the order.
        rows: Number of rows in a window, within which a node shuffles the rows that it reads.
    """

    seed: int
    rows: int


class _FilePass(PassCursor):
    """A pass and the rows that it reads."""

    def __init__(self, rows: RowStream, least: int) -> None:
        super().__init__(least)
        self.rows = rows


class FileReader:
    """One node's view of Parquet files; a `Source`.

    Args:
        files: The files.
        rank: Rank of this node.
        nodes: Number of nodes.
        columns: Names of the columns, fields or masks to read, and matrices; None for all columns.
        convert: How columns become tensors.
        shuffle: How to shuffle each pass; None for the order of the files.
        passes: Number of passes that a `DataFeed` gives.
        reporter: Counts the rows that are read.
    """

    def __init__(
        self,
        files: ParquetFiles,
        rank: int,
        nodes: int,
        *,
        columns: Sequence[Wanted] | None = None,
        convert: Mapping[str, Column] | None = None,
        shuffle: Shuffle | None = None,
        passes: int = 1,
        reporter: ProgressReporter | None = None,
    ) -> None:
        self._files = files
        self._rank = rank
        self._schema = files.schema(columns, convert)
        self._shuffle = shuffle
        self._passes_offered = passes
        self._reporter = reporter or ProgressReporter()
        self._feed = ClosedFeed(files.rows, nodes, files.share_rows)
        self._begun = 0
        self._looked_at: RowStream | None = None

    @property
    def terminated(self) -> bool:
        """Whether the program needs no more rows."""
        return self._reporter.progress.terminated

    @property
    def passes_offered(self) -> int:
        """Number of passes that a `DataFeed` gives."""
        return self._passes_offered

    def first_rows(self, least: int = 1) -> LocatedBatch:
        """Return the first rows of this node, at least one.

        Raises:
            EmptyFeedError: A node has fewer rows than `least`.
        """
        self._feed.require(least, self._files.name)
        if self._looked_at is None:
            self._looked_at = self._open()
        return self._looked_at.first_rows()

    def begin_pass(self, least: int = 0) -> PassCursor:
        """Begin a pass, which reads ahead from now on, and return it."""
        rows, self._looked_at = self._looked_at or self._open(), None
        return _FilePass(rows, least)

    def batches(
        self, size: int, drop_remainder: bool, at_once: int = 1, least: int = 0
    ) -> Iterator[Rows]:
        """Read one pass in batches; every node yields the same number of them.

        Args:
            size: Number of rows in a full batch on this node.
            drop_remainder: Whether to yield only full batches.
            at_once: How many full batches may be yielded together.
            least: Number of rows that every batch has at least, which `first_rows` has checked; see
                `PassCursor`.

        Raises:
            EmptyFeedError: No batch is full.
        """
        if drop_remainder:
            self._feed.require_full_batch(size, self._files.name)
        cursor = self.begin_pass(least)
        while (rows := self.next_batches(cursor, size, drop_remainder, at_once)) is not None:
            yield rows
        self.end_pass()

    def next_batches(
        self, cursor: PassCursor, size: int, drop_remainder: bool, at_once: int = 1
    ) -> Rows | None:
        """Return the next batches of a pass from `begin_pass`, or None at its end.

        Raises:
            DataError: A file cannot be read, or has changed.
        """
        assert isinstance(cursor, _FilePass)
        next_step = partial(cursor.next_when_closed, self._feed, size, drop_remainder)
        run = cursor.take(next_step, size, at_once)
        if run is None:
            return None
        try:
            slices = cursor.rows.take(run.rows)
        except EOFError:
            raise DataError(f"{self._files.name} has changed while it was read") from None
        self._reporter.read(run.rows)
        return Rows(slices, run.rows, run.weight, run.batches)

    def at_end(self, cursor: PassCursor) -> bool:
        """Return whether a pass has no further batch."""
        return cursor.next_when_closed(self._feed, 1, drop_remainder=False) is None

    def end_pass(self) -> None:
        """Record a complete pass."""
        self._reporter.end_pass()

    def terminate(self) -> None:
        """Need no more rows."""
        self._reporter.terminate()

    def _open(self) -> RowStream:
        epoch, self._begun = self._begun, self._begun + 1
        parts, how = self._files.parts, self._shuffle
        if how is None:
            pieces = share(parts, self._feed.nodes, self._rank)
            return RowStream(self._files.read(pieces, self._schema))
        pieces = share(shuffled(parts, how.seed, epoch), self._feed.nodes, self._rank)
        rows = self._files.read(pieces, self._schema)

        def order(window: int, count: int) -> np.ndarray:
            return window_order(count, how.seed, epoch, self._rank, window)

        return RowStream(shuffle_rows(rows, how.rows, order))
