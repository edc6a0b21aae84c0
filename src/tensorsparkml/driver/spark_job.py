"""A Spark job in a thread of its own, which can be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

_CANCEL_SECONDS = 0.5  # between two attempts to cancel


class SparkJob:
    """Collects a DataFrame in a thread.

    Args:
        data: The DataFrame.
        tag: Name of the thread, and tag of the job in Spark.
        on_end: Called, from the thread, with the rows, and with Spark's exception or None.
    """

    def __init__(
        self, data: DataFrame, tag: str, on_end: Callable[[list[Row], Exception | None], None]
    ) -> None:
        self._data = data
        self._tag = tag
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name=tag, daemon=True)

    def start(self) -> None:
        """Start the job."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait until the job has ended and return whether it has.

        Args:
            timeout: Seconds.
        """
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def cancel(self, timeout: float) -> bool:
        """Let Spark end the job's tasks, if it still runs, and return whether it has ended.

        Args:
            timeout: Seconds to wait for the end.
        """
        deadline = time.monotonic() + timeout
        while self._thread.is_alive() and time.monotonic() < deadline:
            # More than once, because a job that Spark does not know yet is not cancelled.
            self._data.sparkSession.interruptTag(self._tag)
            self._thread.join(_CANCEL_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._data.sparkSession.addTag(self._tag)
        try:
            rows = self._data.collect()
        except Exception as error:  # whatever Spark raises is the job's outcome
            self._on_end([], error)
        else:
            self._on_end(rows, None)
