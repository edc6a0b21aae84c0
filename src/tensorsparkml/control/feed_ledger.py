"""The coordinator's account of one feed: who holds how many rows, and when it is complete."""

from __future__ import annotations

from tensorsparkml.control.messages import (
    Close,
    Commit,
    Directive,
    FeedProgress,
    Give,
    Open,
    Publish,
    ReadFiles,
    Release,
)
from tensorsparkml.data.lockstep import balance

Addressed = list[tuple[int, Directive]]


class FeedLedger:
    """Counts what feeders committed, and plans what nodes must still exchange.

    A feeder first writes its rows to the nodes' spools, unseen, and then commits them here. A key
    (usually the Spark partition) is accepted once, so rows of a task that Spark repeats or runs
    twice count once.

    Args:
        name: Name of the feed.
        nodes: Number of nodes that share its rows.
        passes: How often a `DataFeed` delivers the rows.
        seed: What the order of the rows follows from in each pass, or None where they are not
            shuffled.
        ordered: Whether the nodes get the rows in the order of their keys, and so all at once.
    """

    def __init__(
        self,
        name: str,
        nodes: int,
        passes: int = 1,
        *,
        seed: int | None = None,
        ordered: bool = False,
    ) -> None:
        self.name = name
        self.passes = passes
        self._seed = seed
        self._ordered = ordered
        self._waiting: list[Commit] = []  # for the rows that come before them
        self.rows = [0] * nodes
        self.progress = [FeedProgress()] * nodes
        self.closed = False
        self._closing = False
        self._released = 0
        self._committed: set[str] = set()
        self._given: dict[str, Give] = {}

    @property
    def total(self) -> int:
        """Rows of the feed over all nodes."""
        return sum(self.rows)

    def open(self) -> Addressed:
        """Tell the nodes how they read the feed."""
        return self._to_all(Open(self.name, self._seed, self._ordered))

    def commit(self, commit: Commit) -> Addressed:
        """Accept the rows that a feeder wrote, unless the same are here already."""
        if self._closing or commit.key in self._committed:
            return []
        self._committed.add(commit.key)
        self.rows = [held + more for held, more in zip(self.rows, commit.rows, strict=True)]
        if self._ordered:
            self._waiting.append(commit)
            return []
        addressed = self._publish(commit)
        held_by_all = min(self.rows)
        if held_by_all > self._released:
            self._released = held_by_all
            addressed += self._to_all(Release(self.name, held_by_all))
        return addressed

    def close(self) -> Addressed:
        """Take no more rows, and even out what the nodes hold."""
        if self._closing:
            return []
        self._closing = True
        addressed: Addressed = []
        for commit in sorted(self._waiting, key=_place):
            addressed += self._publish(commit)
        moves = balance(self.rows)
        for number, move in enumerate(moves):
            give = Give(self.name, f"given-{number}", move.target, move.rows)
            self._given[give.segment] = give
            self.rows[move.source] -= move.rows
            self.rows[move.target] += move.rows
            addressed.append((move.source, give))
        return addressed if moves else addressed + self._complete()

    def given(self, segment: str) -> Addressed:
        """Record that a transfer has arrived at its target's spool."""
        give = self._given.pop(segment, None)
        if give is None:
            return []
        addressed: Addressed = [(give.target, Publish(self.name, segment, give.rows))]
        return addressed if self._given else addressed + self._complete()

    def read_files(self, uris: tuple[str, ...]) -> Addressed:
        """Let the nodes read the rows from files, and take none from feeders."""
        self._closing = True
        return self._to_all(ReadFiles(self.name, uris, self.passes, self._seed))

    def shared(self, rank: int, rows: int) -> None:
        """Record how many rows of the files are a node's."""
        self.rows[rank] = rows

    def consumed(self, rank: int, progress: FeedProgress) -> None:
        """Record how far a node has read."""
        self.progress[rank] = progress

    def node_done(self, rank: int, passes: int) -> bool:
        """Whether a node has read the feed that often, or wants no more of it."""
        progress = self.progress[rank]
        return progress.terminated or progress.passes >= passes

    def _publish(self, commit: Commit) -> Addressed:
        return [
            (rank, Publish(self.name, commit.segment, count))
            for rank, count in enumerate(commit.rows)
            if count
        ]

    def _to_all(self, directive: Directive) -> Addressed:
        return [(rank, directive) for rank in range(len(self.rows))]

    def _complete(self) -> Addressed:
        self.closed = True
        return [
            (rank, Close(self.name, self.total, rows, self.passes))
            for rank, rows in enumerate(self.rows)
        ]


def _place(commit: Commit) -> tuple[int, ...]:
    """Return where a commit's rows stand in the feed: partition, and part of it."""
    return tuple(int(number) for number in commit.key.split("."))
