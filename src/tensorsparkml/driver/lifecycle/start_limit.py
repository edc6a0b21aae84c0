"""How long the nodes of a cluster may take to start. No Spark."""

from __future__ import annotations

import time
from collections.abc import Callable

from tensorsparkml.driver.spark.activity import Activity


class StartLimit:
    """Time that counts only while Spark is not busy with other tasks.

    Spark may compute the rows that the nodes are going to get, or may have given the slots that
    they need to other jobs. It does not tell which tasks are those of the nodes, so it is busy
    where there are more tasks than nodes, or tasks come to an end.

    Args:
        seconds: The limit.
        nodes: Number of nodes that start.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, seconds: float, nodes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._nodes, self._clock = seconds, nodes, clock
        self._deadline = clock() + seconds
        self._last: Activity | None = None

    @property
    def remaining(self) -> float:
        """Seconds that are left; at least 0."""
        return max(0.0, self._deadline - self._clock())

    def look(self, now: Activity, held: int) -> bool:
        """Take into account what Spark does, and return whether it is busy.

        Args:
            now: What Spark does.
            held: Tasks that hold the slots of other clusters.
        """
        ended = self._last is not None and now.completed != self._last.completed
        busy = ended or now.running - held > self._nodes
        self._last = now
        if busy:
            self._deadline = self._clock() + self._seconds
        return busy
