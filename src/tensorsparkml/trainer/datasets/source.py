"""`Source`: rows for datasets and `DataFeed`s, from Spark or from files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tensorsparkml.control.feeds.lockstep import PassCursor
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.trainer.datasets.feed_reader import Rows


class Batches(Protocol):
    """The part of a source that datasets use."""

    def first_rows(self, least: int = 1) -> LocatedBatch:
        """Wait for this node's first rows and return them, without consuming them.

        Raises:
            EmptyFeedError: A node is already known to have fewer rows than `least`.
        """

    def batches(
        self, size: int, drop_remainder: bool, at_once: int = 1, least: int = 0
    ) -> Iterator[Rows]:
        """Read one pass in batches; every node yields the same number of them.

        Args:
            size: Number of rows in a full batch on this node.
            drop_remainder: Whether to yield only full batches.
            at_once: How many full batches may be yielded together.
            least: Number of rows that every batch has at least; see `PassCursor`.

        Raises:
            EmptyFeedError: A node has rows, but fewer than `least`; or no batch is full.
        """


class Source(Batches, Protocol):
    """A node's share of rows, read in passes, in lockstep with the other nodes."""

    @property
    def terminated(self) -> bool:
        """Whether the program needs no more rows."""

    @property
    def passes_offered(self) -> int:
        """Number of passes that a `DataFeed` gives, known at the end of the first one."""

    def begin_pass(self, least: int = 0) -> PassCursor:
        """Begin a pass and return it; see `PassCursor`."""

    def next_batches(
        self, cursor: PassCursor, size: int, drop_remainder: bool, at_once: int = 1
    ) -> Rows | None:
        """Return the next batches of a pass, or None at its end; waits for the first of them."""

    def at_end(self, cursor: PassCursor) -> bool:
        """Wait until it is known whether a pass has another batch; return True if it has none."""

    def end_pass(self) -> None:
        """Record a complete pass."""

    def terminate(self) -> None:
        """Need no more rows."""
