"""Feeding jobs: Spark tasks that push a DataFrame's Arrow batches to the nodes' agents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.feed_ledger import FeedLedger
from tensorsparkml.control.messages import Peer
from tensorsparkml.control.plan import ClusterPlan
from tensorsparkml.driver.coordinator import Coordinator
from tensorsparkml.driver.spark_failures import feed_failure
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCHEMA = "rows long"


@dataclass(frozen=True)
class FeedReport:
    """What became of a feed.

    Attributes:
        rows: Rows that reached the nodes.
        rows_per_node: The same by rank.
        complete: False when the nodes wanted no more before Spark had delivered everything.
    """

    rows: int
    rows_per_node: tuple[int, ...]
    complete: bool


def feed_task(
    plan: ClusterPlan, peers: Sequence[Peer], feed: str
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function of the feed tasks."""
    coordinator, token = plan.coordinator, plan.token

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        from pyspark import TaskContext

        from tensorsparkml.executor.feeder import Feeder

        context = TaskContext.get()
        assert context is not None
        attempt = context.taskAttemptId()
        feeder = Feeder(
            coordinator, token, peers, feed, context.partitionId(), attempt, commit_bytes=None
        )
        try:
            rows = feeder.run(batches)
        finally:
            feeder.close()
        yield pa.record_batch({"rows": pa.array([rows], pa.int64())})

    return task


class FeedJob:
    """Runs the job that feeds a DataFrame, in a thread.

    Args:
        plan: The cluster.
        peers: Its nodes.
        feed: Name of the feed.
        data: The rows.
        on_end: Called, from the thread, with Spark's exception or None.
    """

    def __init__(
        self,
        plan: ClusterPlan,
        peers: Sequence[Peer],
        feed: str,
        data: DataFrame,
        on_end: Callable[[Exception | None], None],
    ) -> None:
        self._spark = data.sparkSession
        self._job = data.mapInArrow(feed_task(plan, peers, feed), _SCHEMA)
        self._tag = f"tensorsparkml-{plan.cluster_id}-feed-{feed}"
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name=self._tag, daemon=True)

    def start(self) -> None:
        """Start the job."""
        self._thread.start()

    def cancel(self) -> None:
        """Let Spark end the job's tasks, if it still runs."""
        if self._thread.is_alive():
            self._spark.interruptTag(self._tag)

    def join(self) -> None:
        """Wait until the job has ended."""
        self._thread.join()

    def _run(self) -> None:
        self._spark.addTag(self._tag)
        try:
            self._job.collect()
        except Exception as error:  # whatever Spark raises is the job's outcome
            self._on_end(error)
        else:
            self._on_end(None)


def deliver(
    coordinator: Coordinator, plan: ClusterPlan, data: DataFrame, ledger: FeedLedger
) -> bool:
    """Feed a DataFrame and return when all of it is on the nodes, or they want no more.

    Args:
        coordinator: The cluster's coordinator.
        plan: The cluster.
        data: The rows.
        ledger: The feed.

    Returns:
        Whether all rows were delivered.

    Raises:
        ConfigurationError: The feed was fed already.
        TensorSparkMLError: The feed or a node failed.
    """
    feed = ledger.name
    if coordinator.has_feed(feed):
        raise ConfigurationError(
            f"feed {feed!r} was fed already; give another feed=…, or start another Cluster"
        )
    coordinator.open_feed(ledger)
    outcome: list[Exception | None] = []

    def on_end(error: Exception | None) -> None:
        outcome.append(error)
        if error is None:
            coordinator.close_feed(feed)
        elif not coordinator.feed_unwanted(feed):
            coordinator.fail(feed_failure(error, feed))

    job = FeedJob(plan, coordinator.peers(), feed, data, on_end)
    job.start()
    try:
        coordinator.require(
            lambda state: state.feed_unwanted(feed) or bool(outcome and ledger.closed)
        )
        complete = outcome == [None]
        job.cancel()
        job.join()
    finally:
        job.cancel()
    coordinator.close_feed(feed)
    return complete
