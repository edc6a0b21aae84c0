"""Sends the rows of a feed that the nodes do not keep again, for every further pass."""

from __future__ import annotations

import logging
import threading

from tensorsparkml.control.coordinator.conditions import DeliveryWanted
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.feeds.delivery import deliver
from tensorsparkml.driver.feeds.sources import RowSource
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.driver.spark.jobs import spark_thread
from tensorsparkml.errors import TensorSparkMLError

logger = logging.getLogger(__name__)

_END_SECONDS = 5.0


class Replay:
    """Delivers a feed again whenever its nodes wait for a further pass, until `end` is called.

    Args:
        coordinator: The cluster's coordinator.
        plan: The cluster.
        rows: The rows.
        ledger: The feed, in its first delivery.
    """

    def __init__(
        self, coordinator: Coordinator, plan: ClusterPlan, rows: RowSource, ledger: FeedLedger
    ) -> None:
        self._coordinator = coordinator
        self._plan = plan
        self._rows = rows
        self._ledger = ledger
        self._ending = threading.Event()
        self._thread = spark_thread(self._run, f"replay of feed {ledger.name}")
        self._thread.start()

    def end(self) -> None:
        """Stop delivering, and return when the current job has ended."""
        self._ending.set()
        self._coordinator.wake()
        self._thread.join(_END_SECONDS)
        if self._thread.is_alive():
            logger.warning("Spark still delivers feed %r", self._ledger.name)

    def _run(self) -> None:
        delivered = 0
        try:
            while True:
                self._coordinator.require(
                    DeliveryWanted(self._ledger.name, delivered), until=self._ending.is_set
                )
                if self._ending.is_set():
                    return
                delivered = self._ledger.current_delivery
                logger.info("Spark sends the rows of feed %r again", self._ledger.name)
                again = self._ledger.again()
                deliver(self._coordinator, self._plan, self._rows, again, self._ending.is_set)
        except TensorSparkMLError as error:
            # Whoever waits for the cluster is told, because it is in the cluster's state.
            logger.debug("feed %r is not delivered again: %s", self._ledger.name, error)
