"""Messages about a feed: commits of feeders, and the progress of readers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Commit:
    """Rows that a feeder has written to the nodes' spools, unseen, and that may now count.

    Attributes:
        feed: Name of the feed.
        key: What the rows are; the same for every attempt to feed them.
        segment: Name under which each node's spool holds its part.
        ranks: Ranks of the nodes that have a part of the segment.
        rows: Rows of each part, in the same order.
        bytes: Size of these rows in memory.
    """

    feed: str
    key: str
    segment: str
    ranks: tuple[int, ...]
    rows: tuple[int, ...]
    bytes: tuple[int, ...]

    @property
    def rows_by_rank(self) -> dict[int, int]:
        """Rows of the segment, by rank."""
        return dict(zip(self.ranks, self.rows, strict=True))


@dataclass(frozen=True)
class FeedProgress:
    """How far a node's program has read a feed.

    Attributes:
        passes: Complete passes.
        rows: Rows read since the feed began, over all passes.
        terminated: Whether the program needs no more of it.
    """

    passes: int = 0
    rows: int = 0
    terminated: bool = False
