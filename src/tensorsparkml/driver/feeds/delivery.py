"""Feeding jobs: Spark tasks that push record batches to the nodes' agents."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensorsparkml.checks import Check, integer, optional, some_names, switch
from tensorsparkml.control.coordinator.conditions import FeedClosed, FeedUnwanted
from tensorsparkml.control.feeds.feed_ledger import FeedLedger, SpoolLimit
from tensorsparkml.control.protocol.failures import Failure, from_exception
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import FEEDER
from tensorsparkml.control.protocol.names import feed_name, feed_names
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.data.spool.shuffle import check_seed
from tensorsparkml.driver.feeds.sources import RowSource, Send
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.driver.spark.failures import feed_failure
from tensorsparkml.driver.spark.jobs import SparkJob
from tensorsparkml.driver.spark.task_results import TaskResults, task_results
from tensorsparkml.errors import ConfigurationError, DataError, FeedError
from tensorsparkml.storage import absolute_path

logger = logging.getLogger(__name__)

_UNCACHED_BYTES = 2**30  # that a node holds unread of a feed that is not cached
_CANCEL_SECONDS = 3.0  # for Spark to end tasks that nobody needs any more

# The checks of arguments: how often and in which order rows are read, whether any are fed, and what
# they are called.
PASSES: dict[str, Check] = {
    "epochs": integer(1),
    "shuffle": switch,
    "seed": optional(integer(0)),
    "cache": switch,
}
FED: dict[str, Check] = {"fed": switch, "feeds": optional(feed_names)}
NAMES: dict[str, Check] = {"feed": feed_name, "columns": optional(some_names)}


@dataclass(frozen=True)
class FeedReport:
    """What has been fed and read.

    Attributes:
        rows: Number of rows that reached the nodes.
        rows_per_node: The same for each node, by rank.
        rows_read: Number of rows that the programs have read, summed over passes and nodes.
        complete: False if all nodes stopped reading before Spark had delivered everything, or, for
            files, before they had read all passes.
    """

    rows: int
    rows_per_node: tuple[int, ...]
    rows_read: int
    complete: bool


def new_ledger(
    feed: str,
    nodes: int,
    epochs: int = 1,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    cache: bool = True,
    spool_bytes: int | None = None,
    replayable: bool = True,
) -> FeedLedger:
    """Return the ledger of a new feed.

    Args:
        feed: Name of the feed.
        nodes: Number of nodes that share it.
        epochs: Number of passes that a `DataFeed` gives.
        shuffle: Whether every pass has a new order.
        seed: Seed of the orders; None for other orders in every run. Without `shuffle` it makes the
            order that of the partitions.
        cache: Whether the nodes keep the rows for further passes.
        spool_bytes: See `ClusterConfig`.
        replayable: Whether Spark can send the rows again.

    Raises:
        ConfigurationError: The arguments do not fit together.
    """
    drawn = check_seed(shuffle, seed) if shuffle else None
    if seed is not None and not cache:
        raise ConfigurationError(
            "with seed=…, all rows must arrive before the first is read, so the nodes must keep "
            "them; leave out cache=False, or the seed"
        )
    limit = None
    if not cache or spool_bytes is not None:
        limit = SpoolLimit(spool_bytes or _UNCACHED_BYTES, cache, replayable)
    ordered = seed is not None
    return FeedLedger(feed, nodes, epochs, seed=drawn, ordered=ordered, limit=limit)


def source_uris(data: Any, default_fs: str, working_dir: str) -> tuple[str, ...] | None:
    """Return the URIs of files for the nodes to read, or None if data is not a URI.

    Args:
        data: A URI, several, or a DataFrame.
        default_fs: Hadoop's default filesystem.
        working_dir: The driver's working directory.

    Raises:
        ConfigurationError: A file does not have the name of a Parquet file.
    """
    if isinstance(data, str | os.PathLike):
        data = [data]
    if not isinstance(data, list | tuple) or not data:
        return None
    for uri in data:
        if re.search(r"\.tfrecords?(\.gz|\.gzip|\.zlib)?$", str(uri)):
            raise ConfigurationError(
                f"{uri} has the name of a TFRecord file, but only Parquet files can replace a "
                "DataFrame; let the program read it with ctx.read_tfrecord(...)"
            )
    return tuple(absolute_path(os.fspath(uri), default_fs, working_dir) for uri in data)


def read_files(coordinator: Coordinator, uris: tuple[str, ...], ledger: FeedLedger) -> None:
    """Let the nodes read the rows of a feed from files, without Spark.

    Raises:
        ConfigurationError: The feed was already delivered.
    """
    _require_new(coordinator, ledger.name)
    coordinator.read_files(ledger, uris)


def sending(
    plan: ClusterPlan,
    peers: Sequence[Peer],
    ledger: FeedLedger,
    part: str,
    job: int,
    results: TaskResults,
) -> Send:
    """Return the function with which feed tasks send a partition.

    Args:
        plan: The cluster.
        peers: The nodes.
        ledger: The feed.
        part: Prefix of the partitions' keys; rows with the same key count once in the feed.
        job: Number of the job among the feed's jobs; the nodes take turns over all jobs.
        results: Gets what arrived, and the errors in rows.
    """
    coordinator, feed, limited = plan.coordinator, ledger.name, ledger.limited
    credentials = plan.keys.credentials(FEEDER)

    def send(batches: Iterator[Any]) -> None:
        from pyspark import TaskContext

        from tensorsparkml.executor.feeding.admission import wait_for_room
        from tensorsparkml.executor.feeding.feeder import Feeder
        from tensorsparkml.executor.feeding.placement import ask_coordinator

        context = TaskContext.get()
        assert context is not None
        partition, attempt = context.partitionId(), context.taskAttemptId()

        def commit(arrived: Commit) -> None:
            results.add(replace(arrived, key=f"{part}{arrived.key}"))

        if limited and not wait_for_room(coordinator, credentials, feed):
            return
        place = ask_coordinator(coordinator, credentials, feed, f"{part}{partition}")
        feeder = Feeder(credentials, peers, feed, partition, attempt, commit, place, job=job)
        try:
            feeder.run(batches)
        except (DataError, FeedError) as error:
            # Handed over, because Spark would repeat a task that fails, and hide its error's class.
            results.add(from_exception(error, kind="DataError", message=error.message))
        finally:
            feeder.close()

    return send


class OpenFeed:
    """A feed that takes the rows of Spark jobs until it is closed.

    Args:
        coordinator: The cluster's coordinator.
        plan: The cluster.
        ledger: The feed.

    Raises:
        ConfigurationError: The feed was already delivered.
    """

    def __init__(self, coordinator: Coordinator, plan: ClusterPlan, ledger: FeedLedger) -> None:
        _require_new(coordinator, ledger.name)
        self.name = ledger.name
        self._coordinator = coordinator
        self._plan = plan
        self._ledger = ledger
        self._results: TaskResults | None = None
        self._jobs = 0
        coordinator.open_feed(ledger)

    def job(
        self, rows: RowSource, on_end: Callable[[Exception | None], None], part: str = ""
    ) -> SparkJob:
        """Return the job that feeds rows, not started yet.

        Args:
            rows: The rows.
            on_end: Called, from the job's thread, with Spark's exception or None.
            part: Name of the rows, if the feed gets rows from several jobs. Rows that are fed again
                under the same name count once.
        """
        self._results = self._results or task_results(rows.context, self)
        peers, part_of_key = self._coordinator.readers(), part and f"{part}/"
        number, self._jobs = self._jobs, self._jobs + 1
        send = sending(self._plan, peers, self._ledger, part_of_key, number, self._results)
        tag = f"tensorsparkml-{self._plan.cluster_id}-feed-{self.name}"

        def ended(error: Exception | None) -> None:
            if part and error is None:
                self._coordinator.end_part(self.name, part)
            on_end(error)

        return SparkJob(rows.feeding(send), tag, lambda _, error: ended(error))

    def deliver(
        self, rows: RowSource, part: str = "", ending: Callable[[], bool] = lambda: False
    ) -> bool:
        """Feed rows, and return when all of them are on the nodes, or the nodes need no more.

        Args:
            rows: The rows.
            part: See `job`.
            ending: Whether the rest is not needed.

        Returns:
            Whether all rows were delivered.

        Raises:
            TensorSparkMLError: The feed or a node failed.
        """
        coordinator, outcome = self._coordinator, list[Exception | None]()

        def on_end(error: Exception | None) -> None:
            if error is not None and not (ending() or coordinator.feed_unwanted(self.name)):
                coordinator.fail(feed_failure(error, self.name))
            outcome.append(error)
            coordinator.wake()

        job = self.job(rows, on_end, part)
        job.start()
        try:
            coordinator.require(FeedUnwanted(self.name), until=lambda: ending() or bool(outcome))
            return outcome == [None]
        finally:
            if not job.cancel(_CANCEL_SECONDS):
                logger.warning("Spark still runs the tasks of feed %r", self.name)

    def close(self) -> None:
        """Take no more rows, and let the nodes read to the end."""
        self._coordinator.close_feed(self.name)

    def report(self, complete: bool) -> FeedReport:
        """Return the report of the feed."""
        return feed_report(self._ledger, complete)

    def receive(self, result: Commit | Failure) -> None:
        """Count what a task has delivered, or record an error in its rows."""
        if isinstance(result, Failure):
            self._coordinator.fail(result)
        else:
            self._coordinator.commit(result)


def deliver(
    coordinator: Coordinator,
    plan: ClusterPlan,
    rows: RowSource,
    ledger: FeedLedger,
    ending: Callable[[], bool] = lambda: False,
) -> FeedReport:
    """Feed rows and return when all of them are on the nodes, or the nodes need no more.

    Args:
        coordinator: The cluster's coordinator.
        plan: The cluster.
        rows: The rows.
        ledger: The feed.
        ending: Whether the rest is not needed.

    Raises:
        ConfigurationError: The feed was already delivered.
        TensorSparkMLError: The feed or a node failed.
    """
    feed = OpenFeed(coordinator, plan, ledger)
    complete = feed.deliver(rows, ending=ending)
    feed.close()
    coordinator.require(FeedClosed(feed.name), until=lambda: ending() or not complete)
    return feed.report(complete)


def feed_report(ledger: FeedLedger, complete: bool) -> FeedReport:
    """Return the report of a feed."""
    read = sum(progress.rows for progress in ledger.progress)
    return FeedReport(ledger.total, tuple(ledger.rows), read, complete)


def _require_new(coordinator: Coordinator, feed: str) -> None:
    if coordinator.has_feed(feed):
        raise ConfigurationError(
            f"feed {feed!r} was already delivered; use another feed= name, or start another Cluster"
        )
