"""Feeding jobs: Spark tasks that push a DataFrame's Arrow batches to the nodes' agents."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.messages import Peer
from tensorsparkml.control.plan import ClusterPlan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SCHEMA = "rows long"


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
