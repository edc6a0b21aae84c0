"""Reading a feed: passes over the node's share, in lockstep with the other nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tensorsparkml.control.feeds.lockstep import PassCursor
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.data.spool.row_stream import RowStream
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.errors import SpentFeedError
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.datasets.delivery import Delivery
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter


@dataclass(frozen=True)
class Rows:
    """The rows of one batch or of several equal ones, as slices of the spool's record batches.

    Attributes:
        slices: The rows in order; empty only if batches may be empty (see `PassCursor`).
        count: Number of rows.
        weight: See `Step.weight`: 1 unless the nodes' batches differ in size.
        batches: Number of batches.
    """

    slices: list[LocatedBatch]
    count: int
    weight: float
    batches: int = 1


class _Pass(PassCursor):
    """A pass, the delivery that it reads, and how much it has read."""

    def __init__(self, number: int, delivery: Delivery, least: int) -> None:
        super().__init__(least)
        self.number = number
        self.delivery = delivery
        self.read_bytes = 0
        self.shuffled: RowStream | None = None


class FeedReader:
    """One node's view of a feed.

    Args:
        agent: The node's agent.
        feed: Name of the feed.
        nodes: Number of nodes that share it.
        rank: Rank of this node.
        reporter: Counts the rows that are read.
    """

    def __init__(
        self,
        agent: AgentClient,
        feed: str,
        nodes: int,
        rank: int = 0,
        reporter: ProgressReporter | None = None,
    ) -> None:
        self.feed = feed
        self._agent = agent
        self._nodes = nodes
        self._rank = rank
        self._delivery = Delivery(agent, feed, nodes)
        self._looked_at: LocatedBatch | None = None
        self._passes_begun = 0
        self._lock = threading.Lock()  # held by the thread that reads, while it waits for rows too
        self._reporter = reporter or ProgressReporter(partial(agent.progress, feed))

    @property
    def progress(self) -> FeedProgress:
        """How far the program has read."""
        return self._reporter.progress

    @property
    def terminated(self) -> bool:
        """Whether the program needs no more rows."""
        return self.progress.terminated

    @property
    def total(self) -> int | None:
        """Number of rows in one pass over all nodes, or None while Spark still delivers."""
        closed = self._delivery.closed
        return closed.total if closed else None

    @property
    def passes_offered(self) -> int:
        """Number of passes that the driver requested, once the feed is closed."""
        return self._delivery.passes_offered

    def first_rows(self, least: int = 1) -> LocatedBatch:
        """Wait for this node's first rows and return them, without consuming them.

        Raises:
            EmptyFeedError: A node is already known to have fewer rows than `least`.
            SpentFeedError: The program has ended the feed.
        """
        with self._lock:
            self._require_wanted()
            if self._looked_at is None:
                self._looked_at = self._look(least)
            return self._looked_at

    def begin_pass(self, least: int = 0) -> _Pass:
        """Begin a pass and return it.

        If not all rows are kept, this waits until all nodes begin the pass, and ends earlier
        passes.

        Raises:
            SpentFeedError: The rows are gone and Spark cannot send them again, or the program has
                ended the feed.
        """
        self._require_wanted()
        number, self._passes_begun = self._passes_begun, self._passes_begun + 1
        with self._lock:
            if number and self._delivery.limited:
                self._change_delivery(number)
            return _Pass(number, self._delivery, least)

    def batches(
        self, size: int, drop_remainder: bool, at_once: int = 1, least: int = 0
    ) -> Iterator[Rows]:
        """Read one pass in batches; every node yields the same number of them.

        Args:
            size: Number of rows in a full batch on this node.
            drop_remainder: Whether to yield only full batches.
            at_once: How many full batches may be yielded together, if the node has them.
            least: Number of rows that every batch has at least; see `PassCursor`.

        Raises:
            EmptyFeedError: A node has rows, but fewer than `least`; or no batch is full.
        """
        cursor = self.begin_pass(least)
        while (rows := self.next_batches(cursor, size, drop_remainder, at_once)) is not None:
            yield rows
        if not self.terminated:
            closed = cursor.delivery.closed
            if drop_remainder and not cursor.yielded and closed is not None:
                closed.require_full_batch(size, f"feed {self.feed!r}")
            self.end_pass()

    def next_batches(
        self, cursor: PassCursor, size: int, drop_remainder: bool, at_once: int = 1
    ) -> Rows | None:
        """Return the next batches of a pass, or None at its end; waits for the first of them.

        Raises:
            SpentFeedError: Another pass has begun, and not all rows are kept.
            EmptyFeedError: A node has rows, but too few for a batch of the pass.
        """
        assert isinstance(cursor, _Pass)
        delivery = cursor.delivery
        with self._lock:
            first = cursor.yielded
            next_step = partial(delivery.next_step, cursor, size, drop_remainder)
            while self.terminated or (run := cursor.take(next_step, size, at_once)) is None:
                if self.terminated:
                    self._close()
                    return None
                if delivery.closed is not None:
                    return None
                self._require_current(cursor)
                delivery.refresh()
            self._require_current(cursor)
            if delivery.closed is not None and not drop_remainder:
                delivery.closed.require(cursor.least, f"feed {self.feed!r}")
            slices = self._read(cursor, first, run.rows)
        self._reporter.read(run.rows)
        return Rows(slices, run.rows, run.weight, run.batches)

    def at_end(self, cursor: PassCursor) -> bool:
        """Wait until it is known whether a pass has another batch; return True if it has none."""
        assert isinstance(cursor, _Pass)
        delivery = cursor.delivery
        with self._lock:
            while delivery.next_step(cursor, 1, False) is None:
                if self.terminated or delivery.closed is not None:
                    return True
                self._require_current(cursor)
                delivery.refresh()
            return False

    def end_pass(self) -> None:
        """Record a complete pass."""
        self._reporter.end_pass()

    def terminate(self) -> None:
        """Say that this node needs no more rows. They are deleted once no node needs them.

        For a thread that is waiting for rows, the pass ends.
        """
        self._reporter.terminate()
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()

    def _close(self) -> None:
        self._looked_at = None
        self._delivery.rows.close()

    def _look(self, least: int) -> LocatedBatch:
        delivery = self._delivery
        while delivery.closed is None and not delivery.rows.rows:
            delivery.refresh()
            self._require_wanted()
        if delivery.closed is not None:
            delivery.closed.require(least, f"feed {self.feed!r}")
        return delivery.rows.first_batch()

    def _change_delivery(self, number: int) -> None:
        old = self._delivery
        name = self._agent.begin_pass(self.feed, number, old.whole, lambda: not self.terminated)
        self._require_wanted()
        if name is None:
            raise SpentFeedError(
                f"the rows of feed {self.feed!r} were dropped after they had been read, and Spark "
                "cannot send them again, because they came from a stream or from the tasks that "
                "start the nodes. Read one pass, or feed a DataFrame with cluster.train(df)"
            )
        if name != old.name:
            old.rows.drop(old.rows.rows)
            self._delivery = Delivery(self._agent, name, self._nodes)

    def _require_wanted(self) -> None:
        if self.terminated:
            raise SpentFeedError(
                f"the program has ended feed {self.feed!r} with terminate(), which deletes its "
                "rows; read the feed before you call terminate()"
            )

    def _require_current(self, cursor: _Pass) -> None:
        if cursor.number + 1 < self._passes_begun and cursor.delivery.limited:
            raise SpentFeedError(
                f"pass {cursor.number + 1} over feed {self.feed!r} has ended, because another pass "
                "has begun and the nodes do not keep all rows; read one pass at a time, or let the "
                "nodes keep the rows (cache=True, and a larger spool_bytes)"
            )

    def _read(self, cursor: _Pass, first: int, count: int) -> list[LocatedBatch]:
        delivery = cursor.delivery
        if not first and (rows := delivery.shuffled(cursor.number, self._rank)) is not None:
            cursor.shuffled = RowStream(rows)
        if cursor.shuffled is not None:
            slices = cursor.shuffled.take(count)
        else:
            slices = delivery.rows.read(first, count)
        cursor.read_bytes += sum(located.batch.nbytes for located in slices)
        delivery.drop_read(cursor.yielded, cursor.read_bytes)
        return slices
