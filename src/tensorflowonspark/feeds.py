"""Rows of an RDD on their way to a node and back, with their Python types kept."""

from __future__ import annotations

import pickle
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import cloudpickle

from tensorsparkml.errors import EmptyFeedError, InferenceError

COLUMN = "row"


def pickled(rows: Iterable[Any]) -> Iterator[bytes]:
    """Yield the rows of a partition, each as one value of a binary column."""
    for row in rows:
        try:
            yield pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError):  # such as a local class
            yield cloudpickle.dumps(row)


class Batches(Protocol):
    """Where a program's rows come from."""

    def next_batch(self, size: int) -> list[Any]:
        """Wait for the next rows and return them; at the end fewer, or none."""

    @property
    def ended(self) -> bool:
        """Whether it is known that no more will come."""

    def answer(self, results: list[Any]) -> None:
        """Take results for the rows that were given out."""


class TrainingBatches:
    """Rows of `TFCluster.train`.

    Args:
        feed: The node's `DataFeed`.
    """

    def __init__(self, feed: Any) -> None:
        self._feed = feed
        self.ended = False

    def wait(self) -> bool:
        """Wait for rows, and return whether there are any."""
        return not self._feed.should_stop()

    def next_batch(self, size: int) -> list[Any]:
        """Wait for the next rows and return them; at the end fewer, or none."""
        try:
            values = self._feed.next_batch(size).get(COLUMN, ())
        except EmptyFeedError:
            values = ()
        if len(values) < size:
            # Nodes get the same number of batches, so the last but one may be smaller, too.
            self.ended = self._feed.should_stop()
        return [pickle.loads(value) for value in values]

    def answer(self, results: list[Any]) -> None:
        """Drop results, which nobody waits for."""


class InferenceBatches:
    """Rows of `TFCluster.inference`, each batch of one partition.

    Args:
        inference: The node's `Inference`.
    """

    def __init__(self, inference: Any) -> None:
        self._inference = inference
        self._first: Any = None
        self._batch: Any = None
        self._results: list[Any] = []
        self.ended = False

    def wait(self, size: int) -> bool:
        """Wait for a batch, and return whether there is any."""
        self._first = self._inference.next_batch(size)
        return self._first is not None

    def next_batch(self, size: int) -> list[Any]:
        """Wait for the next rows and return them; none at the end."""
        if self._batch is not None:
            raise InferenceError(
                f"batch_results was given {len(self._results)} results for "
                f"{self._batch.describe()}, which has {self._batch.rows} rows; give one result "
                "for each row before the next batch"
            )
        # Not `or`: a batch of elements is a mapping without keys.
        if self._first is None:
            self._batch = self._inference.next_batch(size)
        else:
            self._batch, self._first = self._first, None
        self.ended = self._batch is None
        return [] if self._batch is None else self._batch.elements

    def answer(self, results: list[Any]) -> None:
        """Send results to Spark once there is one for each row of the batch."""
        self._results += results
        rows = 0 if self._batch is None else self._batch.rows
        if len(self._results) > rows:
            raise InferenceError(
                f"batch_results was given {len(self._results)} results for a batch of {rows} rows; "
                "give one for each row that next_batch has returned"
            )
        if self._batch is not None and len(self._results) == rows:
            self._batch.reply(self._results)
            self._batch, self._results = None, []


def first_to_come(
    training: TrainingBatches, inference: InferenceBatches, size: int
) -> TrainingBatches | InferenceBatches:
    """Wait until the driver feeds rows one way or the other, and return which way it is."""
    came: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def watch(source: Any, wait: Callable[[], bool]) -> None:
        try:
            if wait():
                came.put(source)
            else:
                came.put(None)
        except Exception as error:  # whatever it is, the program's own thread must raise it
            came.put(error)

    for source, wait in (
        (training, training.wait),
        (inference, lambda: inference.wait(size)),
    ):
        threading.Thread(target=watch, args=(source, wait), name="feed", daemon=True).start()
    for _ in range(2):
        first = came.get()
        if isinstance(first, Exception):
            raise first
        if first is not None:
            assert isinstance(first, TrainingBatches | InferenceBatches)
            return first
    return training
