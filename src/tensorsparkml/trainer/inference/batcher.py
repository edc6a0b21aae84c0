"""The rows of partitions under way, as they arrive, and how they are cut into batches.

Several partitions arrive side by side, so that a slow one keeps no other waiting. A batch is of one
partition; it is full unless it is the partition's last.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from tensorsparkml.data.inference.wire import Request
from tensorsparkml.data.spool.segments import LocatedBatch

_RECORD_BATCHES = 2  # of a partition that wait, unless a batch needs more


@dataclass(eq=False)
class RowStream:
    """One partition under way."""

    request: Request
    slices: deque[LocatedBatch] = field(default_factory=deque)
    rows: int = 0
    asked: int = 0  # batches that wait for their reply
    complete: bool = False
    dropped: bool = False

    @property
    def answered(self) -> bool:
        """Whether every row there will ever be has had its reply."""
        return self.complete and not self.rows and not self.asked and not self.dropped


@dataclass(frozen=True)
class Cut:
    """The rows of one batch."""

    stream: RowStream
    slices: list[LocatedBatch]


class RowBuffer:
    """All partitions that one program has under way, for threads that fill and one that cuts."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._streams: list[RowStream] = []
        self._size = 1
        self._ended = False
        self._error: Exception | None = None

    # For the threads that fill

    def open(self, request: Request) -> RowStream:
        """Add a partition."""
        with self._changed:
            stream = RowStream(request)
            self._streams.append(stream)
            return stream

    def append(self, stream: RowStream, located: LocatedBatch) -> None:
        """Add rows to a partition when there is room; those of a dropped one are dropped."""

        def room() -> bool:
            few = len(stream.slices) < _RECORD_BATCHES or stream.rows < self._size
            return few or stream.dropped

        with self._changed:
            self._changed.wait_for(room)
            if not stream.dropped:
                stream.slices.append(located)
                stream.rows += located.batch.num_rows
                self._changed.notify_all()

    def complete(self, stream: RowStream) -> bool:
        """Record that a partition has no more rows, and return whether all have been answered."""
        with self._changed:
            stream.complete = True
            return self._forget_if_answered(stream)

    def drop(self, stream: RowStream) -> None:
        """Forget a partition whose results nobody needs any more."""
        with self._changed:
            stream.dropped = True
            stream.slices.clear()
            stream.rows = 0
            self._forget(stream)

    def end(self, error: Exception | None = None) -> None:
        """Let `cut` end, or raise, when the partitions under way are through."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    # For the program

    def cut(self, size: int) -> Cut | None:
        """Wait for the next batch and return it, or None when there is none any more.

        Args:
            size: Rows of a full batch.
        """

        def ready() -> RowStream | None:
            found = (s for s in self._streams if s.rows >= size or (s.complete and s.rows))
            return next(found, None)

        def over() -> bool:
            return self._ended and (self._error is not None or not self._streams)

        with self._changed:
            self._size = size
            self._changed.notify_all()
            self._changed.wait_for(lambda: ready() or over())
            stream = ready()
            if stream is None:
                if self._error is not None:
                    raise self._error
                return None
            stream.asked += 1
            cut = Cut(stream, _take(stream, min(size, stream.rows)))
            self._changed.notify_all()
            return cut

    def answered(self, stream: RowStream) -> bool:
        """Record the reply to a batch, and return whether it was the partition's last one."""
        with self._changed:
            stream.asked -= 1
            return self._forget_if_answered(stream)

    def _forget_if_answered(self, stream: RowStream) -> bool:
        if stream.answered:
            self._forget(stream)
            return True
        self._changed.notify_all()
        return False

    def _forget(self, stream: RowStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
        self._changed.notify_all()


def _take(stream: RowStream, count: int) -> list[LocatedBatch]:
    found = []
    stream.rows -= count
    while count:
        first = stream.slices.popleft()
        rows = first.batch.num_rows
        if rows > count:
            rest = LocatedBatch(first.batch.slice(count), first.origin.moved(count))
            stream.slices.appendleft(rest)
            first = LocatedBatch(first.batch.slice(0, count), first.origin)
        found.append(first)
        count -= min(rows, count)
    return found
