"""Feeding jobs: Spark tasks that push a DataFrame's Arrow batches to the nodes' agents."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.feed_ledger import FeedLedger
from tensorsparkml.control.messages import Commit, Peer
from tensorsparkml.control.plan import ClusterPlan
from tensorsparkml.driver.coordinator import Coordinator
from tensorsparkml.driver.spark_failures import feed_failure
from tensorsparkml.driver.spark_job import SparkJob
from tensorsparkml.driver.task_results import task_results
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.storage import absolute_path

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import DataFrame, Row

logger = logging.getLogger(__name__)

_SCHEMA = "partition int"
_CANCEL_SECONDS = 3.0  # for Spark to end tasks that nobody needs any more


@dataclass(frozen=True)
class FeedReport:
    """What became of a feed.

    Attributes:
        rows: Rows that reached the nodes.
        rows_per_node: The same by rank.
        complete: False when the nodes wanted no more before Spark had delivered everything, or
            before they had read all passes over files.
    """

    rows: int
    rows_per_node: tuple[int, ...]
    complete: bool


def source_uris(data: Any, default_fs: str, working_dir: str) -> tuple[str, ...] | None:
    """Return the URIs of files that nodes are to read, or None where data is no URI.

    Args:
        data: A URI, several, or a DataFrame.
        default_fs: Hadoop's default filesystem.
        working_dir: The driver's working directory.

    Raises:
        ConfigurationError: They are no Parquet files by their names.
    """
    if isinstance(data, str | os.PathLike):
        data = [data]
    if not isinstance(data, list | tuple) or not data:
        return None
    for uri in data:
        if not isinstance(uri, str | os.PathLike):
            raise ConfigurationError(
                f"data must be a DataFrame, a URI or a list of URIs, and {uri!r} is no URI"
            )
        if re.search(r"\.tfrecords?(\.gz|\.gzip|\.zlib)?$", str(uri)):
            raise ConfigurationError(
                f"{uri} is a TFRecord file by its name, and only Parquet files can take the place "
                "of a DataFrame; let main read it with ctx.read_tfrecord(...)"
            )
    return tuple(absolute_path(os.fspath(uri), default_fs, working_dir) for uri in data)


def read_files(coordinator: Coordinator, uris: tuple[str, ...], ledger: FeedLedger) -> None:
    """Let the nodes read the rows of a feed from files, without Spark.

    Raises:
        ConfigurationError: The feed was fed already.
    """
    _require_new(coordinator, ledger.name)
    coordinator.read_files(ledger, uris)


def feed_task(
    token: str, peers: Sequence[Peer], feed: str, commits: Accumulator[list[Commit]]
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function of the feed tasks."""

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        from pyspark import TaskContext

        from tensorsparkml.executor.feeder import Feeder

        context = TaskContext.get()
        assert context is not None
        partition, attempt = context.partitionId(), context.taskAttemptId()
        feeder = Feeder(token, peers, feed, partition, attempt, lambda part: commits.add([part]))
        try:
            feeder.run(batches)
        finally:
            feeder.close()
        yield pa.record_batch({"partition": pa.array([partition], pa.int32())})

    return task


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
    _require_new(coordinator, feed)
    coordinator.open_feed(ledger)
    outcome: list[Exception | None] = []

    def on_end(_: list[Row], error: Exception | None) -> None:
        outcome.append(error)
        if error is None:
            coordinator.close_feed(feed)
        elif not coordinator.feed_unwanted(feed):
            coordinator.fail(feed_failure(error, feed))

    commits = task_results(data.sparkSession, coordinator.commit)
    tasks = data.mapInArrow(feed_task(plan.token, coordinator.peers(), feed, commits), _SCHEMA)
    job = SparkJob(tasks, f"tensorsparkml-{plan.cluster_id}-feed-{feed}", on_end)
    job.start()
    try:
        coordinator.require(
            lambda state: state.feed_unwanted(feed) or bool(outcome and ledger.closed)
        )
        complete = outcome == [None]
    finally:
        if not job.cancel(_CANCEL_SECONDS):
            logger.warning("Spark still runs the tasks of feed %r", feed)
    coordinator.close_feed(feed)
    return complete


def _require_new(coordinator: Coordinator, feed: str) -> None:
    if coordinator.has_feed(feed):
        raise ConfigurationError(
            f"feed {feed!r} was fed already; give another feed=…, or start another Cluster"
        )
