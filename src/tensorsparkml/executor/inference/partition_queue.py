"""The agent's desk for inference: partitions that wait for the program, and those under way.

Spark tasks come with the rows of a partition and wait; the program takes one partition after the
other. Each that is under way has a lane for its rows and one for the results, of few places, so
whoever is faster waits. No sockets: `inference_relay` moves the batches.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

import pyarrow as pa

from tensorsparkml.data.inference.wire import COMPLETE, Request, Signal
from tensorsparkml.data.spool.segments import LocatedBatch

T = TypeVar("T")

_ROW_BATCHES = 2  # Spark's record batches: tens of MiB each where rows are large
_RESULT_BATCHES = 16  # of the program's batch size
_UNDER_WAY = 4  # partitions of a feed at a time


class Lane(Generic[T]):
    """A queue of few places, for one that puts and one that gets.

    Args:
        places: How many items wait at most.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._items: deque[T] = deque()
        self._signal: Signal | None = None
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Add an item when there is a place; once the lane has ended, items are dropped."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._places or self._signal)
            if self._signal is None:
                self._items.append(item)
                self._changed.notify_all()

    def end(self) -> None:
        """Let the lane end after the items that are in it."""
        self._end(COMPLETE)

    def fail(self, reason: str) -> None:
        """End the lane at once, unless it was ended."""
        self._end(Signal(reason))

    def get(self, wait_seconds: float | None = None) -> T | Signal | None:
        """Return the next item, or the signal that ended the lane, or None after that time."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._signal, wait_seconds)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            return self._signal

    def wait_ended(self) -> Signal:
        """Wait until the lane was ended, and return how."""
        with self._changed:
            self._changed.wait_for(lambda: self._signal)
            assert self._signal is not None
            return self._signal

    @property
    def ended(self) -> bool:
        """Whether nothing can be put any more."""
        with self._changed:
            return self._signal is not None

    def _end(self, signal: Signal) -> None:
        with self._changed:
            if self._signal is None:
                self._signal = signal
                if signal.failed is not None:
                    self._items.clear()
                self._changed.notify_all()


class Exchange:
    """One partition between its Spark task and the program.

    Args:
        number: What the program calls it by.
        request: What the task asks for.
        schema: Schema of the rows.
    """

    def __init__(self, number: int, request: Request, schema: pa.Schema) -> None:
        self.number = number
        self.request = request
        self.schema = schema
        self.taken = False
        self.rows: Lane[LocatedBatch] = Lane(_ROW_BATCHES)
        self.results: Lane[LocatedBatch] = Lane(_RESULT_BATCHES)

    def fail(self, reason: str) -> None:
        """Drop the partition, unless its results are complete."""
        self.results.fail(reason)
        self.rows.fail(reason)


class InferenceDesk:
    """All partitions of one node."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._all: dict[int, Exchange] = {}
        self._refusal: str | None = None
        self._closed = False

    def open(self, request: Request, schema: pa.Schema) -> Exchange:
        """Add a partition that waits for the program; a desk that has closed fails it at once."""
        with self._changed:
            exchange = Exchange(next(self._numbers), request, schema)
            self._all[exchange.number] = exchange
            if self._refusal is not None:
                exchange.fail(self._refusal)
            self._changed.notify_all()
            return exchange

    def take(
        self, feed: str, held: Collection[int], wait_seconds: float
    ) -> tuple[Exchange | None, list[int]]:
        """Wait for news of a feed: another partition for the program, or that some are dropped.

        Args:
            feed: Name of the feed.
            held: Numbers of the partitions that the program works on.
            wait_seconds: How long to wait at most; not at all where there will be no more news.

        Returns:
            The partition that has waited longest, unless there are enough under way; and those of
            `held` whose tasks have gone.
        """

        def first() -> Exchange | None:
            of_feed = [each for each in self._all.values() if each.request.feed == feed]
            if self._refusal is not None or sum(e.taken for e in of_feed) >= _UNDER_WAY:
                return None
            return next((each for each in of_feed if not each.taken), None)

        def dropped() -> list[int]:
            return [number for number in held if number not in self._all]

        with self._changed:
            self._changed.wait_for(
                lambda: first() or dropped() or (self._refusal and not held), wait_seconds
            )
            exchange = first()
            if exchange is not None:
                exchange.taken = True
            return exchange, dropped()

    def find(self, number: int) -> Exchange | None:
        """Return the partition of that number, unless its task has left."""
        with self._changed:
            return self._all.get(number)

    def leave(self, exchange: Exchange) -> None:
        """Forget a partition whose task has its results, or has gone."""
        exchange.fail("the Spark task has ended")
        with self._changed:
            self._all.pop(exchange.number, None)
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether no further partition is taken in."""
        with self._changed:
            return self._refusal is not None

    def end(self, reason: str) -> None:
        """Take in no more partitions; those under way are finished.

        Args:
            reason: The error of tasks that still wait, or come later.
        """
        with self._changed:
            self._refusal = self._refusal or reason
            for exchange in self._all.values():
                if not exchange.taken:
                    exchange.fail(self._refusal)
            self._changed.notify_all()

    def close(self, reason: str) -> None:
        """Fail all partitions that are here or come later."""
        with self._changed:
            self._refusal, self._closed = reason, True
            for exchange in self._all.values():
                exchange.fail(reason)
            self._changed.notify_all()

    def wait_closed(self, seconds: float) -> str | None:
        """Wait until the desk was closed, and return why, or None if it was not."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)
            return self._refusal if self._closed else None
