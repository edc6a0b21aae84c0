"""A node's view of one delivery of a feed: the segments that it has and may read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorsparkml.control.feeds.lockstep import ClosedFeed, PassCursor, Step
from tensorsparkml.data.spool.segments import LocatedBatch, RowReader
from tensorsparkml.data.spool.shuffled_reader import PassOrder, shuffled_arrivals, shuffled_share
from tensorsparkml.trainer.agent_client import AgentClient


class Delivery:
    """One time that Spark brings all rows of a feed.

    Args:
        agent: The node's agent.
        name: Name of the delivery; the first one has the name of the feed.
        nodes: Number of nodes that share the feed.

    Attributes:
        rows: The part of the node's share that has arrived.
        closed: The numbers of rows of all nodes, once they are known.
        passes_offered: Number of passes that the driver requested, once the feed is closed.
        whole: Whether no rows were dropped.
    """

    def __init__(self, agent: AgentClient, name: str, nodes: int) -> None:
        self.name = name
        self.rows = RowReader()
        self.closed: ClosedFeed | None = None
        self.passes_offered = 1
        self.whole = True
        self._agent = agent
        self._nodes = nodes
        self._held_by_all = 0
        self._opened: dict[str, Any] | None = None
        self._keep_bytes: int | None = None

    @property
    def limited(self) -> bool:
        """Whether rows may be dropped; waits until that is known."""
        while self._opened is None:
            self.refresh()
        limited: bool = self._opened["limited"]
        return limited

    def refresh(self) -> None:
        """Wait a little for news."""
        window = self._agent.window(self.name, self.rows.segments, self._held_by_all)
        for path, rows in window["segments"]:
            self.rows.append(path, rows)
        self._held_by_all = window["held_by_all"]
        self._opened = window["opened"] or self._opened
        self._keep_bytes = window["keep_bytes"]
        if closed := window["closed"]:
            self.closed = ClosedFeed(closed["total"], self._nodes, closed["rows"])
            self.passes_offered = closed["passes"]

    def next_step(self, cursor: PassCursor, size: int, drop_remainder: bool) -> Step | None:
        """Return the step that the node can take now."""
        if self.closed is not None:
            return cursor.next_when_closed(self.closed, size, drop_remainder)
        if self._opened is None or self._opened["ordered"]:
            return None
        return cursor.next_while_open(self._held_by_all, size, drop_remainder)

    def shuffled(self, epoch: int, rank: int) -> Iterator[LocatedBatch] | None:
        """Return the rows of a pass in shuffled order, or None for the order of arrival."""
        seed = self._opened["seed"] if self._opened else None
        if seed is None:
            return None
        order = PassOrder(seed, epoch, rank)
        if self.closed is not None and self.whole and self._keep_bytes is None:
            return shuffled_share(self.rows, self.closed.rows, order)
        return shuffled_arrivals(self.rows, self._readable, order)

    def drop_read(self, position: int, read_bytes: int) -> None:
        """Drop rows that a pass has read, if the feed does not keep them.

        Args:
            position: Number of rows that the pass has read.
            read_bytes: Their size in bytes.
        """
        if self._keep_bytes is None or read_bytes <= self._keep_bytes:
            return
        if rows := self.rows.drop(position):
            self.whole = False
            self._agent.dropped(self.name, rows)

    def _readable(self) -> int:
        return self.closed.rows if self.closed else self._held_by_all
