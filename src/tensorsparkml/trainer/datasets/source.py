"""`Source`: what datasets and `DataFeed`s read, wherever the rows come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tensorsparkml.control.feeds.lockstep import PassCursor
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.trainer.datasets.feed_reader import Rows


class Batches(Protocol):
    """What a dataset needs of a source."""

    def first_rows(self, least: int = 1) -> LocatedBatch:
        """Wait for this node's first rows and return them; reads nothing off the source.

        Raises:
            EmptyFeedError: It is known already that some node has fewer rows than `least`.
        """

    def batches(
        self, size: int, drop_remainder: bool, at_once: int = 1, least: int = 0
    ) -> Iterator[Rows]:
        """Read one pass in batches; every node yields the same number of them.

        Args:
            size: Rows of a full batch on this node.
            drop_remainder: Whether only full batches are yielded.
            at_once: How many full batches may come together.
            least: Rows that each of them has; see `PassCursor`.

        Raises:
            EmptyFeedError: Some node has rows, but fewer than that, or no batch is full.
        """


class Source(Batches, Protocol):
    """A node's share of some rows, read in passes that are in lockstep with the other nodes'."""

    @property
    def terminated(self) -> bool:
        """Whether the program needs no more."""

    @property
    def passes_offered(self) -> int:
        """How many passes a `DataFeed` delivers; known at the end of the first."""

    def begin_pass(self, least: int = 0) -> PassCursor:
        """Return the beginning of a pass; see `PassCursor`."""

    def next_batches(
        self, cursor: PassCursor, size: int, drop_remainder: bool, at_once: int = 1
    ) -> Rows | None:
        """Return the next batches of a pass, or None at its end; waits for the first of them."""

    def at_end(self, cursor: PassCursor) -> bool:
        """Wait until it is known whether a pass has another batch, and return that it has none."""

    def end_pass(self) -> None:
        """Record a complete pass."""

    def terminate(self) -> None:
        """Want no more."""
