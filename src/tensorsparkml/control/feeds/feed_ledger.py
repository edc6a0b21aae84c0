"""The coordinator's account of one feed: who holds how many rows, and when it is complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tensorsparkml.control.feeds.commit_log import CommitLog
from tensorsparkml.control.feeds.deliveries import Deliveries, delivery_name
from tensorsparkml.control.feeds.lockstep import balance
from tensorsparkml.control.feeds.placement import Placement
from tensorsparkml.control.protocol.directives import (
    BeginPass,
    Close,
    Directive,
    Drop,
    Give,
    Open,
    Publish,
    ReadFiles,
    Release,
    Remove,
)
from tensorsparkml.control.protocol.feeds import Commit, FeedProgress

Addressed = list[tuple[int, Directive]]


# How much more than the others a host's nodes may be given: so much, at most, crosses the network
# when the feed closes and shares are evened out.
_LEAD_BYTES = 128 * 2**20
_MOST_KEPT_BYTES = 64 * 2**20  # of the beginning of a delivery, for programs that look at it


@dataclass(frozen=True)
class SpoolLimit:
    """How much of a feed a node keeps.

    Attributes:
        bytes: Size of the rows that a node holds unread, or keeps, at most; feeders wait while
            they are more.
        cached: Whether rows are kept for further passes as long as they fit. Otherwise, and from
            the moment on in which they do not, they are dropped once they are read.
        replayable: Whether Spark can bring the rows again.
    """

    bytes: int
    cached: bool
    replayable: bool


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
        limit: Limit of what the nodes keep; None for everything.
        first: The feed's first delivery, where this is another one.
    """

    def __init__(
        self,
        name: str,
        nodes: int,
        passes: int = 1,
        *,
        seed: int | None = None,
        ordered: bool = False,
        limit: SpoolLimit | None = None,
        first: FeedLedger | None = None,
    ) -> None:
        self.name = name
        self.passes = passes
        self._seed = seed
        self._ordered = ordered
        self._waiting: list[Commit] = []  # for the rows that come before them
        lead = _LEAD_BYTES if limit is None else min(_LEAD_BYTES, limit.bytes // 4)
        self._placement = Placement(nodes, lead)
        self.rows = [0] * nodes
        self.progress = [FeedProgress()] * nodes
        self.closed = False
        self._closing = False
        self._removed = False
        self._released = 0
        self._behind = set(range(nodes))  # hold no more than every node is known to hold
        self._commits = CommitLog()
        self._gives: list[Give] = []
        self._giving: set[str] = set()  # segments that have not arrived yet
        self._limit = limit
        self._first = first
        self._number = 0 if first is None else first.current_delivery
        self._deliveries = Deliveries(limit.replayable) if limit and first is None else None
        self.dropping = limit is not None and not limit.cached
        self._bytes = [0] * nodes
        self._all_bytes = 0
        self._dropped = [0] * nodes  # rows
        self._full: set[int] = set()  # nodes that hold as much as they may
        self._published = [0] * nodes  # segments
        self._starving: set[int] = set()  # have read all that is published for them

    @property
    def total(self) -> int:
        """Rows of the feed over all nodes."""
        return sum(self.rows)

    def open(self) -> Addressed:
        """Tell the nodes how they read the feed."""
        addressed = self._to_all(Open(self.name, self._seed, self._ordered, self.limited))
        return addressed + self._drop() if self.dropping else addressed

    def place(self, key: str, first: bool, near: Sequence[int], size: int) -> Sequence[int]:
        """Return the nodes among which a feeder shares out its next rows; see `Placement.place`."""
        if self._ordered:  # where rows lie follows from the rows alone
            return range(len(self.rows))
        return self._placement.place(key, first, near, size)

    def commit(self, commit: Commit) -> Addressed:
        """Accept the rows that a feeder wrote, unless the same are here already."""
        if self._closing or not self._commits.accept(commit.key):
            return []
        for rank, rows, size in zip(commit.ranks, commit.rows, commit.bytes, strict=True):
            self.rows[rank] += rows
            self._bytes[rank] += size
            self._look_whether_full(rank)
            if self.rows[rank] > self._released:
                self._behind.discard(rank)
        self._all_bytes += sum(commit.bytes)
        if self._ordered:
            self._waiting.append(commit)
            return []
        addressed = self._publish(commit) + self._release()
        if self.full and not self.dropping:
            self.dropping = True
            addressed += self._drop()
        return addressed

    def end_part(self, part: str) -> None:
        """Forget the keys of a part whose Spark job has ended; see `CommitLog`."""
        self._commits.end(part)
        self._placement.end_part(part)

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
            size = self._bytes[move.source] * move.rows // self.rows[move.source]
            self._bytes[move.source] -= size
            self._bytes[move.target] += size
            self.rows[move.source] -= move.rows
            self.rows[move.target] += move.rows
            for rank in (move.source, move.target):
                self._look_whether_full(rank)
            segment, start = f"given-{number}", self.rows[move.source]
            give = Give(self.name, segment, move.target, start, move.rows)
            self._gives.append(give)
            self._giving.add(segment)
            addressed.append((move.source, give))
        return addressed if moves else addressed + self._complete()

    def given(self, segment: str) -> Addressed:
        """Record that a transfer has arrived at its target's spool."""
        if segment not in self._giving:
            return []
        self._giving.remove(segment)
        if self._giving:
            return []
        # In the order of the plan, whichever came first: where rows lie must not depend on that.
        published: Addressed = [
            (give.target, Publish(self.name, give.segment, give.rows)) for give in self._gives
        ]
        return published + self._complete()

    def remove(self) -> Addressed:
        """Let the nodes delete the rows, if these are complete, because none wants them."""
        if self._removed or not self.closed:
            return []
        self._removed = True
        return self._to_all(Remove(self.name))

    # Feeds of which nodes do not keep everything

    @property
    def limited(self) -> bool:
        """Whether nodes may not keep everything, and feeders must ask before they bring rows."""
        return self._limit is not None

    @property
    def is_first(self) -> bool:
        """Whether this is the feed itself, rather than a further delivery of it."""
        return self._first is None

    @property
    def current_delivery(self) -> int:
        """Number of the delivery that the nodes read, or wait for."""
        return self._deliveries.current if self._deliveries else 0

    @property
    def superseded(self) -> bool:
        """Whether the nodes read, or wait for, a later delivery than this one."""
        return (self._first or self).current_delivery > self._number

    @property
    def full(self) -> bool:
        """Whether a node holds as much as it may."""
        return bool(self._full)

    @property
    def overflows(self) -> bool:
        """Whether rows that must all be there before the first is read are too many to be kept."""
        if self._limit is None or not self._ordered:
            return False
        return self._all_bytes >= self._limit.bytes * len(self.rows)  # they will be evened out

    @property
    def admits(self) -> bool:
        """Whether feeders may bring more rows now: there is room, or a node waits for them."""
        return bool(self._starving) or not self.full

    def again(self) -> FeedLedger:
        """Return the account of the delivery that the nodes now wait for."""
        assert self._limit is not None
        return FeedLedger(
            delivery_name(self.name, self.current_delivery),
            len(self.rows),
            self.passes,
            seed=self._seed,
            limit=replace(self._limit, cached=False),
            first=self,
        )

    def dropped(self, rank: int, rows: int) -> None:
        """Record that a node has dropped rows that it had read."""
        self._dropped[rank] += rows
        self._look_whether_full(rank)

    def starving(self, rank: int, segments: int) -> None:
        """Record that a node has read what it may, and knows that many segments."""
        if segments == self._published[rank]:
            self._starving.add(rank)
        else:
            self._starving.discard(rank)

    def ask(self, rank: int, number: int, whole: bool) -> None:
        """Record that a node is about to begin a pass; see `Deliveries.ask`."""
        if self._deliveries:
            self._deliveries.ask(rank, number, whole)

    def decide(self, running: Iterable[int]) -> Addressed:
        """Let the nodes begin the next pass, once all that are still running have asked for it."""
        if self._deliveries is None:
            return []
        waiting_for = [rank for rank in running if not self.progress[rank].terminated]
        decision = self._deliveries.decide(waiting_for)
        if decision is None:
            return []
        number, delivery = decision
        name = None if delivery is None else delivery_name(self.name, delivery)
        return self._to_all(BeginPass(self.name, number, name))

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

    def terminated(self, rank: int) -> bool:
        """Whether a node needs no more of the feed."""
        return (self._first or self).progress[rank].terminated

    def node_done(self, rank: int, passes: int) -> bool:
        """Whether a node has read the feed that often, or needs no more of it."""
        progress = self.progress[rank]
        return progress.terminated or progress.passes >= passes

    def stored_bytes(self) -> list[int]:
        """Return the size of the rows on each node's disk."""
        return (
            [0] * len(self.rows)
            if self._removed
            else [round(self._held_bytes(rank)) for rank in range(len(self.rows))]
        )

    def _publish(self, commit: Commit) -> Addressed:
        addressed: Addressed = []
        for rank, count in zip(commit.ranks, commit.rows, strict=True):
            if count:
                self._published[rank] += 1
                self._starving.discard(rank)
                addressed.append((rank, Publish(self.name, commit.segment, count)))
        return addressed

    def _drop(self) -> Addressed:
        assert self._limit is not None
        return self._to_all(Drop(self.name, min(_MOST_KEPT_BYTES, self._limit.bytes // 2)))

    def _release(self) -> Addressed:
        """Tell all nodes what each of them holds at least, when that has grown."""
        if self._behind:
            return []
        self._released = min(self.rows)
        self._behind = {rank for rank, rows in enumerate(self.rows) if rows == self._released}
        self._starving.clear()  # who still has to wait will say so again
        return self._to_all(Release(self.name, self._released))

    def _held_bytes(self, rank: int) -> float:
        """Return the size of what a node holds, from the mean size of its rows."""
        rows = self.rows[rank]
        return self._bytes[rank] * (1 - self._dropped[rank] / rows) if rows else 0.0

    def _look_whether_full(self, rank: int) -> None:
        if self._limit is not None and self._held_bytes(rank) >= self._limit.bytes:
            self._full.add(rank)
        else:
            self._full.discard(rank)

    def _to_all(self, directive: Directive) -> Addressed:
        return [(rank, directive) for rank in range(len(self.rows))]

    def _complete(self) -> Addressed:
        self.closed = True
        total = self.total
        return [
            (rank, Close(self.name, total, rows, self.passes))
            for rank, rows in enumerate(self.rows)
        ]


def _place(commit: Commit) -> tuple[int, ...]:
    """Return where a commit's rows stand in the feed: partition, and part of it."""
    return tuple(int(number) for number in commit.key.split("."))
