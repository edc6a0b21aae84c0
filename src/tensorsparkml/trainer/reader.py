"""Reading a feed: passes over the node's share, in lockstep with the other nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tensorsparkml.control.messages import FeedProgress
from tensorsparkml.data.lockstep import ClosedFeed, PassCursor, Step
from tensorsparkml.data.row_stream import RowStream
from tensorsparkml.data.segments import LocatedBatch, RowReader
from tensorsparkml.data.shuffled_share import PassOrder, shuffled_arrivals, shuffled_share
from tensorsparkml.errors import EmptyFeedError
from tensorsparkml.trainer.agent_client import AgentClient

# Read, or passed, between two reports of progress, which cost a call each.
_REPORT_ROWS = 10_000
_REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class Rows:
    """The rows of one batch or of several equal ones, as slices of the spool's record batches.

    Attributes:
        slices: The rows in order; empty only where the node has no row to give.
        count: Number of rows.
        weight: See `Step.weight`: 1 except where the nodes' batches differ in size.
        batches: Number of batches.
    """

    slices: list[LocatedBatch]
    count: int
    weight: float
    batches: int = 1


class _Pass(PassCursor):
    """A pass, and its rows where it is shuffled."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.shuffled: RowStream | None = None


class FeedReader:
    """One node's view of a feed.

    Args:
        agent: The node's agent.
        feed: Name of the feed.
        nodes: Number of nodes that share it.
        rank: Rank of this node.
    """

    def __init__(self, agent: AgentClient, feed: str, nodes: int, rank: int = 0) -> None:
        self.feed = feed
        self._agent = agent
        self._nodes = nodes
        self._rank = rank
        self._opened: dict[str, Any] = {}
        self._passes_begun = 0
        self._rows = RowReader()
        self._held_by_all = 0
        self._closed: ClosedFeed | None = None
        self._passes_offered = 1
        self._lock = threading.Lock()
        self._progress = FeedProgress()
        self._reported = FeedProgress()
        self._reported_at = time.monotonic()

    @property
    def progress(self) -> FeedProgress:
        """How far the program has read."""
        return self._progress

    @property
    def terminated(self) -> bool:
        """Whether the program wants no more."""
        return self._progress.terminated

    @property
    def total(self) -> int | None:
        """Rows of one pass over all nodes, or None while Spark still delivers."""
        return self._closed.total if self._closed else None

    @property
    def passes_offered(self) -> int:
        """How many passes the driver asked for; known once the feed is closed."""
        return self._passes_offered

    def first_row(self) -> LocatedBatch:
        """Wait for a row of this node and return it; reads nothing off the feed.

        Raises:
            EmptyFeedError: The feed has fewer rows than there are nodes.
        """
        with self._lock:
            while self._closed is None and not self._rows.rows:
                self._refresh()
            if self._closed is not None and self._closed.total < self._nodes:
                raise EmptyFeedError(
                    f"feed {self.feed!r} has {self._closed.total} rows for {self._nodes} nodes; "
                    "each node needs at least one. Check the DataFrame's filters, or use fewer "
                    "nodes"
                )
            return self._rows.read(0, 1)[0]

    def begin_pass(self) -> PassCursor:
        """Return the beginning of a pass."""
        with self._lock:
            epoch, self._passes_begun = self._passes_begun, self._passes_begun + 1
        return _Pass(epoch)

    def batches(self, size: int, drop_remainder: bool, at_once: int = 1) -> Iterator[Rows]:
        """Read one pass in batches; every node yields the same number of them.

        Args:
            size: Rows of a full batch on this node.
            drop_remainder: Whether only full batches are yielded.
            at_once: How many full batches may come together, where the node holds them.
        """
        cursor = self.begin_pass()
        while (rows := self.next_batches(cursor, size, drop_remainder, at_once)) is not None:
            yield rows
        self.end_pass()

    def next_batches(
        self, cursor: PassCursor, size: int, drop_remainder: bool, at_once: int = 1
    ) -> Rows | None:
        """Return the next batches of a pass, or None at its end; waits for the first of them."""
        assert isinstance(cursor, _Pass)
        with self._lock:
            first = cursor.yielded
            next_step = partial(self._next_step, cursor, size, drop_remainder)
            while (run := cursor.take(next_step, size, at_once)) is None:
                if self._closed is not None:
                    return None
                self._refresh()
            slices = self._read(cursor, first, run.rows)
            self._advance(FeedProgress(self._progress.passes, self._progress.rows + run.rows))
            return Rows(slices, run.rows, run.weight, run.batches)

    def at_end(self, cursor: PassCursor) -> bool:
        """Wait until it is known whether a pass has another batch, and return that it has none."""
        with self._lock:
            while self._closed is None:
                if cursor.next_while_open(self._held_by_all, 1, drop_remainder=False):
                    return False
                self._refresh()
            return cursor.next_when_closed(self._closed, 1, drop_remainder=False) is None

    def end_pass(self) -> None:
        """Record a complete pass."""
        with self._lock:
            self._advance(FeedProgress(self._progress.passes + 1, self._progress.rows))

    def terminate(self) -> None:
        """Want no more of the feed."""
        with self._lock:
            self._advance(FeedProgress(self._progress.passes, self._progress.rows, True))

    def _read(self, cursor: _Pass, first: int, count: int) -> list[LocatedBatch]:
        seed = self._opened["seed"]
        if seed is None:
            return self._rows.read(first, count)
        if cursor.shuffled is None:
            order = PassOrder(seed, cursor.epoch, self._rank)
            cursor.shuffled = RowStream(
                shuffled_share(self._rows, self._closed.rows, order)
                if self._closed
                else shuffled_arrivals(self._rows, self._arrived, order)
            )
        return cursor.shuffled.take(count)

    def _arrived(self) -> int:
        return self._closed.rows if self._closed else self._held_by_all

    def _next_step(self, cursor: PassCursor, size: int, drop_remainder: bool) -> Step | None:
        """Return the step that can be taken now."""
        if self._closed is None:
            if not self._opened or self._opened["ordered"]:
                return None
            return cursor.next_while_open(self._held_by_all, size, drop_remainder)
        return cursor.next_when_closed(self._closed, size, drop_remainder)

    def _advance(self, progress: FeedProgress) -> None:
        self._progress = progress
        now = time.monotonic()
        if (
            progress.passes != self._reported.passes
            or progress.terminated
            or progress.rows - self._reported.rows >= _REPORT_ROWS
            or now - self._reported_at >= _REPORT_SECONDS
        ):
            self._reported, self._reported_at = progress, now
            self._agent.progress(self.feed, progress)

    def _refresh(self) -> None:
        window = self._agent.window(self.feed, self._rows.segments, self._held_by_all)
        for path, rows in window["segments"]:
            self._rows.append(path, rows)
        self._held_by_all = window["held_by_all"]
        self._opened = window["opened"] or self._opened
        if closed := window["closed"]:
            self._closed = ClosedFeed(closed["total"], self._nodes, closed["rows"])
            self._passes_offered = closed["passes"]
