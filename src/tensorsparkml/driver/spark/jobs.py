"""A Spark action that can be cancelled, in a separate thread or in the caller's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame

_CANCEL_SECONDS = 0.5  # between two attempts to cancel


def spark_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Return a thread in which Spark's jobs belong to the caller.

    The jobs have the caller's job group, description, scheduler pool and other local properties.
    """
    from pyspark import InheritableThread

    return InheritableThread(target=target, name=name, daemon=True)


@dataclass(frozen=True)
class Action:
    """A Spark action, with a tag for the jobs that it starts.

    Attributes:
        run: Runs the action and returns its rows.
        add_tag: Adds a tag to the jobs that the thread starts from now on.
        remove_tag: Removes the tag.
        cancel: Cancels the jobs with a tag.
    """

    run: Callable[[], list[Any]]
    add_tag: Callable[[str], None]
    remove_tag: Callable[[str], None]
    cancel: Callable[[str], object]


def collect_dataframe(data: DataFrame) -> Action:
    """Return the action that collects a DataFrame."""
    session = data.sparkSession
    return Action(data.collect, session.addTag, session.removeTag, session.interruptTag)


def collect_rdd(rdd: RDD[Any]) -> Action:
    """Return the action that collects an RDD."""
    # Tags of a session are for its own operations; the jobs of an RDD have those of the context.
    context = rdd.context
    return Action(rdd.collect, context.addJobTag, context.removeJobTag, context.cancelJobsWithTag)


class SparkJob:
    """One run of an action.

    Args:
        action: The action.
        tag: Name of the thread, and tag of the jobs in Spark.
        on_end: Called, from the thread, with the rows, and with Spark's exception or None.
    """

    def __init__(
        self, action: Action, tag: str, on_end: Callable[[list[Any], Exception | None], None]
    ) -> None:
        self._action = action
        self._tag = tag
        self._on_end = on_end
        self._ended = threading.Event()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the job was cancelled, so that Spark's exception may be only a consequence."""
        return self._cancelled

    def start(self) -> None:
        """Run the action in a separate thread, with the caller's local properties of Spark."""
        try:
            spark_thread(self._run, self._tag).start()
        except AssertionError:  # that is how PySpark says it
            self._end([], RuntimeError("the Spark application was stopped"))

    def run(self) -> None:
        """Run the action in the caller's thread, with the properties that Spark has set there."""
        self._run()
        self._action.remove_tag(self._tag)

    def join(self, timeout: float) -> bool:
        """Wait until the job has ended and return whether it has.

        Args:
            timeout: Seconds.
        """
        return self._ended.wait(timeout)

    def cancel(self, timeout: float) -> bool:
        """Cancel the job if it still runs, and return whether it has ended.

        Args:
            timeout: Seconds to wait for the end.
        """
        deadline = time.monotonic() + timeout
        self._cancelled = self._cancelled or not self._ended.is_set()
        while not self._ended.is_set() and time.monotonic() < deadline:
            # More than once, because a job that Spark does not know yet is not cancelled.
            self._action.cancel(self._tag)
            self._ended.wait(_CANCEL_SECONDS)
        return self._ended.is_set()

    def _run(self) -> None:
        try:
            self._action.add_tag(self._tag)
            rows = self._action.run()
        except Exception as error:  # whatever Spark raises is the job's outcome
            self._end([], error)
        else:
            self._end(rows, None)

    def _end(self, rows: list[Any], error: Exception | None) -> None:
        try:
            self._on_end(rows, error)
        finally:
            self._ended.set()
