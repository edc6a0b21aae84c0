"""`Cluster`: one run of a main function on the executors of a Spark application."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import cloudpickle

from tensorsparkml._version import __version__
from tensorsparkml.config import ClusterConfig
from tensorsparkml.control.cluster_state import ClusterState
from tensorsparkml.control.feed_ledger import FeedLedger
from tensorsparkml.control.messages import Failure
from tensorsparkml.control.plan import ClusterPlan, node_name
from tensorsparkml.control.verdict import to_error
from tensorsparkml.driver import slots
from tensorsparkml.driver.coordinator import Coordinator
from tensorsparkml.driver.feeding import FeedJob
from tensorsparkml.driver.launch import LaunchJob
from tensorsparkml.driver.pickling import pickle_main
from tensorsparkml.driver.spark_failures import feed_failure, launch_failure
from tensorsparkml.driver.spark_internals import default_filesystem
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

_slot_registry = slots.SlotRegistry()
_FOREVER = 10.0 * 365 * 86_400  # seconds
_STOP_SECONDS = 5.0  # for nodes to end once they are told to


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


class Cluster:
    """One run of a main function on the executors of a Spark application.

    ```python
    with Cluster(main, args, spark=spark, num_workers=2) as cluster:
        cluster.train(df)
    print(cluster.results)
    ```

    Entering starts the nodes; leaving waits until every main has returned, or, if the block
    raised, ends the nodes at once.

    Args:
        main: The program, `main(args, ctx)`. It runs on every node, in a process of its own.
        args: Its first argument: anything that can be pickled.
        spark: The session; by default the active one.
        direct: DataFrame that the nodes' launch tasks deliver themselves, so that no other Spark
            job, and no spare task slot, is needed to feed them.
        epochs: How many passes over `direct` a `DataFeed` delivers.
        fed: Whether `train` will be called; without, no task slot needs to stay free for it.
        settings: The fields of `ClusterConfig`: `num_workers`, `slots`, `log_dir` and so on.

    Raises:
        ConfigurationError: A setting cannot work.
        UnpicklableError: main or args cannot be sent to the executors.
    """

    def __init__(
        self,
        main: Callable[[Any, Any], Any],
        args: Any = None,
        *,
        spark: SparkSession | None = None,
        direct: DataFrame | None = None,
        epochs: int = 1,
        fed: bool = True,
        **settings: Any,
    ) -> None:
        self.config = make_config(settings)
        self._main = pickle_main(main, args)
        self._spark = spark or active_session()
        self._direct = direct
        self._direct_epochs = epochs
        self._fed = fed and direct is None
        self._cluster_id = uuid.uuid4().hex[:12]
        self._results: list[Any] | None = None
        self._ended = False
        self._names = [node_name(*role) for role in self.config.roles]

    @property
    def results(self) -> list[Any]:
        """What each node's main returned, by rank; there once the cluster has ended."""
        if self._results is None:
            raise ConfigurationError("results are there once the cluster has ended")
        return self._results

    @property
    def nodes(self) -> list[str]:
        """The nodes' names by rank, such as `chief:0` and `worker:0`."""
        return list(self._names)

    # Startup

    def start(self) -> None:
        """Start the nodes and return once every node's TensorFlow process runs.

        Raises:
            NotEnoughSlotsError: The application has too few task slots.
            TensorSparkMLError: A node could not be started; see `tensorsparkml.errors`.
        """
        slots.check_settings(self._spark)
        available = slots.available_slots(self._spark, self.config.num_workers + self._fed)
        hold = _slot_registry.reserve(
            self._cluster_id,
            self.config.num_workers,
            lambda taken: slots.holds_slots(
                self.config.slots, self.config.num_workers, self._fed, available, taken
            ),
        )
        try:
            self._launch(hold)
        except BaseException:
            _slot_registry.give_back(self._cluster_id)
            raise

    def _launch(self, hold: bool) -> None:
        config = self.config
        token = secrets.token_hex(32)
        host = self._spark.conf.get("spark.driver.host") or "127.0.0.1"
        state = ClusterState(self._names, config.lease_seconds)
        self._coordinator = Coordinator(state, token, host)
        self._plan = ClusterPlan(
            cluster_id=self._cluster_id,
            token=token,
            coordinator=self._coordinator.location,
            roles=config.roles,
            hold=hold,
            direct_feed=None if self._direct is None else "train",
            lease_seconds=config.lease_seconds,
            version=__version__,
            python=".".join(map(str, sys.version_info[:2])),
            packages=config.packages,
            default_fs=default_filesystem(self._spark),
            working_dir=os.getcwd(),
            log_dir=config.log_dir,
            work_dir=config.work_dir,
            environment=dict(config.environment),
        )
        if self._direct is not None:
            ledger = FeedLedger("train", config.num_workers, self._direct_epochs)
            self._coordinator.open_feed(ledger, direct_tasks=config.num_workers)
        self._launch_job = LaunchJob(
            self._spark, self._plan, self._main, self._direct, self._on_launch_ended
        )
        self._launch_job.start()
        try:
            self._wait(lambda state: state.all_started, config.start_seconds, "starting")
        except BaseException:
            self._abort()
            raise
        logger.info(
            "cluster %s: %d nodes run, slots are %s",
            self._cluster_id,
            config.num_workers,
            "held" if hold else "released",
        )

    def _on_launch_ended(self, failures: list[Failure], error: Exception | None) -> None:
        if failures:
            self._coordinator.fail(failures[0])
        elif error is not None:
            self._coordinator.fail(launch_failure(error, direct=self._direct is not None))

    # Feeding

    def train(self, data: DataFrame, *, epochs: int = 1, feed: str = "train") -> FeedReport:
        """Feed a DataFrame to the nodes, and return when they have read it.

        The rows are spread evenly over the nodes, whatever the partitions. Each reaches exactly
        one node and stays there, so a program may read the feed as often as it likes.

        Args:
            data: The rows.
            epochs: How many passes the nodes' `DataFeed` delivers, and how many passes to wait
                for. `ctx.dataset` gives one pass each time it is iterated, whatever this says.
            feed: Name of the feed. A feed is fed once.

        Returns:
            How many rows were delivered. It returns early, with `complete` False and the Spark
            job cancelled, when every node's program has ended or wants no more.

        Raises:
            FeedError: Spark could not produce the rows.
            NodeError: A node failed.
        """
        if epochs < 1:
            raise ConfigurationError(f"epochs must be at least 1, not {epochs!r}")
        if not self._fed:
            raise ConfigurationError(
                "this cluster keeps no task slot for feeding; use Cluster(...) without direct "
                "data and without fed=False"
            )
        if self._coordinator.has_feed(feed):
            raise ConfigurationError(
                f"feed {feed!r} was fed already; give another feed=…, or start another Cluster"
            )
        ledger = FeedLedger(feed, self.config.num_workers, epochs)
        self._coordinator.open_feed(ledger)
        ended: list[Exception | None] = []

        def on_end(error: Exception | None) -> None:
            ended.append(error)
            if error is None:
                self._coordinator.close_feed(feed)
            elif not self._coordinator.feed_unwanted(feed):
                self._coordinator.fail(feed_failure(error, feed))

        job = FeedJob(self._plan, self._coordinator.peers(), feed, data, on_end)
        job.start()
        try:
            self._wait(
                lambda state: state.feed_unwanted(feed) or bool(ended and ledger.closed),
                _FOREVER,
                "feeding",
            )
            complete = ended == [None]
            job.cancel()
            job.join()
            self._coordinator.close_feed(feed)
            self._wait(lambda state: state.feed_done(feed, epochs), _FOREVER, "training")
        finally:
            job.cancel()
        return FeedReport(ledger.total, tuple(ledger.rows), complete)

    # Shutdown

    def shutdown(self) -> None:
        """Wait until every main has returned, and end the nodes.

        Raises:
            NodeError: A node failed.
        """
        if self._ended:
            return
        try:
            self._wait(lambda state: state.all_finished, _FOREVER, "running")
            self._coordinator.wait_for(lambda state: state.all_gone, _STOP_SECONDS)
        except BaseException:
            self._abort()
            raise
        self._end()
        self._results = [
            cloudpickle.loads(result) for result in self._coordinator.results() if result
        ]

    def stop(self) -> None:
        """End the nodes at once, whatever they are doing."""
        if not self._ended:
            self._abort()

    def __enter__(self) -> Self:
        """Start the nodes."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the nodes, or end them if the block raised."""
        if kind is None:
            self.shutdown()
        else:
            self.stop()

    def _wait(self, condition: Callable[[ClusterState], bool], timeout: float, doing: str) -> None:
        reached = self._coordinator.wait_for(
            lambda state: bool(state.failures) or condition(state), timeout
        )
        if failure := self._coordinator.failure():
            raise to_error(*failure)
        if not reached:
            raise to_error(
                Failure(
                    "LaunchError",
                    f"after {timeout:g} s of {doing} not every node runs; look at the executors' "
                    "logs, or raise start_seconds",
                ),
                [],
            )

    def _abort(self) -> None:
        self._coordinator.stop("the driver ended the cluster")
        gone = self._coordinator.wait_for(lambda state: state.all_gone, _STOP_SECONDS)
        if not gone:
            logger.warning("cluster %s: not every node confirmed its end", self._cluster_id)
        self._end()

    def _end(self) -> None:
        self._ended = True
        if not self._launch_job.join(timeout=1.0):
            self._launch_job.cancel()
            self._launch_job.join()
        self._coordinator.close()
        _slot_registry.give_back(self._cluster_id)


def run(
    main: Callable[[Any, Any], Any],
    args: Any = None,
    *,
    spark: SparkSession | None = None,
    data: DataFrame | None = None,
    epochs: int = 1,
    **settings: Any,
) -> list[Any]:
    """Run a main function on the executors and return what each node's main returned, by rank.

    Args:
        main: The program, `main(args, ctx)`.
        args: Its first argument: anything that can be pickled.
        spark: The session; by default the active one.
        data: DataFrame that feeds the nodes, delivered by the tasks that start them; None where
            the program reads its own data.
        epochs: How many passes over `data` a `DataFeed` delivers.
        settings: The fields of `ClusterConfig`: `num_workers`, `log_dir` and so on.

    Raises:
        TensorSparkMLError: Anything that went wrong; see `tensorsparkml.errors`.
    """
    cluster = Cluster(main, args, spark=spark, direct=data, epochs=epochs, fed=False, **settings)
    with cluster:
        pass
    return cluster.results


def make_config(settings: dict[str, Any]) -> ClusterConfig:
    """Return the configuration, or raise ConfigurationError for a setting that does not exist."""
    unknown = sorted(set(settings) - set(ClusterConfig.__dataclass_fields__))
    if unknown:
        known = ", ".join(sorted(ClusterConfig.__dataclass_fields__))
        raise ConfigurationError(f"unknown setting {', '.join(unknown)}; there are: {known}")
    return ClusterConfig(**settings)


def active_session() -> SparkSession:
    """Return the active Spark session.

    Raises:
        ConfigurationError: There is none.
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        raise ConfigurationError("there is no active SparkSession; pass spark=…")
    return session
