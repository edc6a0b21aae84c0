"""Rows of an RDD on their way to a node and back, with their Python types kept."""

from __future__ import annotations

import pickle
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cloudpickle

from tensorsparkml.errors import EmptyFeedError, InferenceError

COLUMN = "row"


def pickled(rows: Iterable[Any]) -> Iterator[bytes]:
    """Yield the rows of a partition, each as one value of a binary column."""
    for row in rows:
        try:
            yield pickle.dumps(row, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError):  # of a class that is not imported
            yield cloudpickle.dumps(row)


class TrainingRows:
    """Rows of `TFCluster.train`.

    Args:
        feed: The node's `DataFeed`.

    Attributes:
        ended: Whether it is known that no more will come.
    """

    def __init__(self, feed: Any) -> None:
        self._feed = feed
        self.ended = False

    def wait(self) -> bool:
        """Wait for rows, and return whether there are any."""
        return not self._feed.should_stop()

    def next_rows(self, size: int) -> list[Any]:
        """Wait for the next rows and return them; fewer, or none, at the end."""
        try:
            values = self._feed.next_batch(size).get(COLUMN, ())
        except EmptyFeedError:  # fewer rows than nodes, and none for this one
            values = ()
        if len(values) < size:
            # Not yet the end where another node has one row more, and so one batch more.
            self.ended = self._feed.should_stop()
        return [pickle.loads(value) for value in values]

    def answer(self, results: list[Any]) -> None:
        """Drop results, for which nobody waits."""

    def terminate(self) -> None:
        """Want no more rows."""
        self._feed.terminate()


class InferenceRows:
    """Rows of `TFCluster.inference`, of one partition at a time.

    Args:
        inference: The node's `Inference`.

    Attributes:
        ended: Whether it is known that no more will come.
    """

    def __init__(self, inference: Any) -> None:
        self._inference = inference
        self._batch: Any = None
        self._rows: deque[Any] = deque()  # of the batch, that are not given out yet
        self._results: list[Any] = []
        self.ended = False

    def wait(self, size: int) -> bool:
        """Wait for rows, and return whether there are any.

        Args:
            size: How many rows will probably be asked for.
        """
        self._take(size)
        return not self.ended

    def next_rows(self, size: int) -> list[Any]:
        """Wait for the next rows and return them; fewer at the end of a partition, none at all."""
        if not self._rows and not self.ended:
            self._take(size)
        return [self._rows.popleft() for _ in range(min(size, len(self._rows)))]

    def answer(self, results: list[Any]) -> None:
        """Take results, and send them to Spark when there is one for each row of the batch.

        Raises:
            InferenceError: There are more results than rows.
        """
        self._results += results
        rows = 0 if self._batch is None else self._batch.rows - len(self._rows)
        if len(self._results) > rows:
            raise InferenceError(
                f"batch_results got {len(self._results)} results for {rows} rows; pass one result "
                "for each row that next_batch has returned"
            )
        if self._batch is not None and len(self._results) == self._batch.rows:
            self._batch.reply(self._results)
            self._batch, self._results = None, []

    def _take(self, size: int) -> None:
        if self._batch is not None:
            raise InferenceError(
                f"batch_results got {len(self._results)} results for {self._batch.describe()}, "
                f"which has {self._batch.rows} rows; pass one result for each row before you "
                "request the next batch"
            )
        self._batch = self._inference.next_batch(size)
        self.ended = self._batch is None
        self._rows.extend(() if self._batch is None else self._batch.elements)


class Incoming:
    """The rows of one feed on a node, whichever way the driver sends them.

    Args:
        feed: The node's `DataFeed`.
        inference: The node's `Inference`.
    """

    def __init__(self, feed: Any, inference: Any) -> None:
        self._training = TrainingRows(feed)
        self._inference = InferenceRows(inference)
        self._rows: TrainingRows | InferenceRows | None = None
        self._came: queue.SimpleQueue[TrainingRows | InferenceRows | Exception | None] = (
            queue.SimpleQueue()
        )
        self._awaited = 2
        self._watching = False

    def next_rows(self, size: int) -> tuple[list[Any], bool]:
        """Wait for rows, and return them and whether it is known that no more will come."""
        rows = self._rows or self._first_to_come(size)
        if rows is None:
            return [], True
        self._rows = rows
        found = rows.next_rows(size)
        return found, rows.ended

    def answer(self, results: list[Any]) -> None:
        """Send results of an inference."""
        if self._rows is not None:
            self._rows.answer(results)

    def terminate(self) -> None:
        """Want no more rows of the training; after it an inference may come."""
        if self._rows is not self._inference:
            self._training.terminate()
            self._rows = None

    def _first_to_come(self, size: int) -> TrainingRows | InferenceRows | None:
        if not self._watching:
            self._watching = True
            self._watch(self._training, self._training.wait)
            self._watch(self._inference, lambda: self._inference.wait(size))
        while self._awaited:
            self._awaited -= 1
            found = self._came.get()
            if isinstance(found, Exception):
                raise found
            if found is not None:
                return found
        return None

    def _watch(self, rows: TrainingRows | InferenceRows, wait: Callable[[], bool]) -> None:
        def watch() -> None:
            try:
                self._came.put(rows if wait() else None)
            except Exception as error:  # whatever it is, the program's own thread must raise it
                self._came.put(error)

        threading.Thread(target=watch, name="incoming rows", daemon=True).start()
