"""Starts the nodes of a cluster, and holds the driver's part of a running cluster."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tensorsparkml._version import __version__
from tensorsparkml.config import ClusterConfig
from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.conditions import (
    AllConfirmed,
    AllFinished,
    AllGone,
    AllStarted,
)
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.failures import Failure, to_error
from tensorsparkml.control.protocol.keys import Keys
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.feeds.delivery import read_files, source_uris
from tensorsparkml.driver.lifecycle.certificate import make_certificate
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.driver.lifecycle.local_nodes import start_local_nodes
from tensorsparkml.driver.lifecycle.start_limit import StartLimit
from tensorsparkml.driver.monitoring.progress_display import ProgressMonitor, choose_display
from tensorsparkml.driver.monitoring.tensorboard import DriverBoard, absolute_log_dir
from tensorsparkml.driver.spark import slots
from tensorsparkml.driver.spark.activity import activity
from tensorsparkml.driver.spark.failures import launch_failure
from tensorsparkml.driver.spark.jobs import SparkJob
from tensorsparkml.driver.spark.launch_job import launch_job
from tensorsparkml.driver.spark.private_api import default_filesystem
from tensorsparkml.errors import ConfigurationError, LaunchError, NodeError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

DIRECT_FEED = "train"

_slot_registry = slots.SlotRegistry()
_LOOK_SECONDS = 5.0  # between two looks at what Spark does, while nodes start
_STOP_SECONDS = 5.0  # for nodes to end once they are told to
_TASK_SECONDS = 1.0  # for launch tasks to end after their agents
_JOB_SECONDS = 30.0  # for Spark to end the launch job once it is cancelled
_HUNG_SECONDS = 2.0  # for an agent that hangs to be killed by its trainer
_HUNG_TASK_SECONDS = 1.0  # for Spark to end the launch job where that has not happened


def free_slots(spark: SparkSession, needed: int) -> int:
    """Return the number of task slots that no cluster of this driver holds.

    Args:
        spark: The session.
        needed: If there are fewer slots, executors get some time to register.
    """
    return slots.available_slots(spark, needed) - _slot_registry.taken


class RunningCluster:
    """The coordinator and the launch job of one cluster.

    Args:
        spark: The session.
        config: The cluster's settings.
        main: The pickled main function and its arguments.
        direct: DataFrame that the launch tasks deliver, URIs of files that the nodes read, or None.
        ledger: The feed that `direct` becomes.
        fed: Whether Spark jobs will feed the nodes.

    Raises:
        NotEnoughSlotsError: The application has too few task slots.
        TensorSparkMLError: A node could not be started.
    """

    def __init__(
        self,
        spark: SparkSession,
        config: ClusterConfig,
        main: bytes,
        direct: DataFrame | str | Sequence[str] | None,
        ledger: FeedLedger,
        fed: bool,
    ) -> None:
        self._id = uuid.uuid4().hex[:12]
        self._fed = fed
        self._host = spark.conf.get("spark.driver.host") or "127.0.0.1"
        self._bind_address = spark.conf.get("spark.driver.bindAddress", None) or self._host
        default_fs, working_dir = default_filesystem(spark), os.getcwd()
        files = source_uris(direct, default_fs, working_dir)
        self._direct = None if files else cast("DataFrame | None", direct)
        self._limited = ledger.limited
        self._direct_ledger: FeedLedger | None = None
        self._job: SparkJob | None = None
        self._local_nodes: list[threading.Thread] = []
        self._progress: ProgressMonitor | None = None
        self._launch_failure: Failure | None = None
        self._board = DriverBoard(config)
        self._state = ClusterState(config.roles, config.lease_seconds)
        hold = self._reserve_slots(spark, config, fed)
        try:
            self.plan = self._make_plan(config, hold, default_fs, working_dir)
        except BaseException:
            _slot_registry.give_back(self._id)
            raise
        try:
            if files:
                read_files(self.coordinator, files, ledger)
            elif self._direct is not None:
                self._direct_ledger = ledger
                self.coordinator.open_feed(self._direct_ledger, direct_tasks=self.plan.nodes)
            self._job = launch_job(spark, self.plan, main, self._direct, self._on_launch_ended)
            self._job.start()
            self._local_nodes = start_local_nodes(
                self.plan, main, self._host, self.coordinator.fail
            )
            self._board.start(self.plan, self._host, self._bind_address, self.coordinator)
            self._wait_for_start(spark, config.start_seconds)
        except BaseException:
            self.abort()
            raise
        if config.progress:
            self._progress = ProgressMonitor(self.coordinator.snapshot, choose_display())
        kept = "held" if hold else "released"
        logger.info("cluster %s: %d nodes run, slots are %s", self._id, self.plan.nodes, kept)

    def require_fed(self) -> None:
        """Check that a task slot is kept free for Spark's other tasks.

        Raises:
            ConfigurationError: No slot is kept free.
        """
        if not self._fed:
            raise ConfigurationError(
                "this cluster keeps no task slot free for other Spark tasks; use Cluster(...) "
                "without direct=… and fed=False"
            )

    def wait_for_mains(self, timeout: float | None) -> None:
        """Wait for every main to return, except on nodes that nobody waits for.

        Args:
            timeout: Seconds to wait at most; None for no limit.

        Raises:
            NodeError: A node failed, or a main did not return in time.
        """
        if timeout is None:
            self.coordinator.require(AllFinished())
        elif not self.coordinator.require(AllFinished(), timeout):
            ended = self.coordinator.snapshot().finished
            late = [name for name in self.plan.roles.names if name not in ended]
            raise NodeError(
                f"on {', '.join(late)}, the program was still running {timeout:g} s after its "
                "feeds ended; look for an endless loop in it, or raise the timeout"
            )

    def abort(self) -> None:
        """End the nodes at once."""
        self.coordinator.stop("the driver ended the cluster")
        self.end()

    def finish(self) -> None:
        """End the nodes after their mains have returned, and release the driver's resources.

        Raises:
            FeedError: Spark could not compute all rows of the direct feed. The nodes do not notice
                this, because missing rows look like the end of the feed.
        """
        # Where the mains have ended before all rows were there, nobody misses the rest.
        read_whole_feed = self._direct_ledger is not None and self._direct_ledger.closed
        self.end(patience=_JOB_SECONDS if read_whole_feed else _TASK_SECONDS)
        if read_whole_feed and self._launch_failure is not None:
            raise to_error(self._launch_failure, [])

    def end(self, patience: float = _TASK_SECONDS) -> None:
        """Wait until the nodes have ended, and release the driver's resources.

        Args:
            patience: How many seconds the launch tasks may take to end by themselves.
        """
        if self._progress is not None:
            self._progress.stop()
        self._board.stop()
        self.coordinator.wait_for(AllGone(), _STOP_SECONDS)
        # The trainer of an agent that hangs kills it, at about the time at which the driver knows.
        ended = self.coordinator.wait_for(AllConfirmed(), _HUNG_SECONDS)
        job = self._job
        if job is not None and not (ended and job.join(patience)):
            # A launch task ends with its agent, so the task of one that hangs may not.
            seconds = _JOB_SECONDS if ended else _HUNG_TASK_SECONDS
            if not job.cancel(seconds):
                logger.warning("cluster %s: Spark has not ended the launch job", self._id)
        if left := self.coordinator.snapshot().unconfirmed:
            logger.warning(
                "cluster %s: these nodes did not confirm that they have ended, so some of their "
                "processes may still run: %s",
                self._id,
                "; ".join(left),
            )
        self.coordinator.close()
        for node in self._local_nodes:  # those that still wait for the others end with it
            node.join(_STOP_SECONDS)
        _slot_registry.give_back(self._id)

    def _make_plan(
        self,
        config: ClusterConfig,
        hold: bool,
        default_fs: str,
        working_dir: str,
    ) -> ClusterPlan:
        certificate, private_key = make_certificate() if config.tls else (None, None)
        keys = Keys(secrets.token_hex(32), {}, certificate, private_key)
        self.coordinator = Coordinator(
            self._state, keys.guard_of_coordinator(), self._host, self._bind_address
        )
        return ClusterPlan(
            cluster_id=self._id,
            keys=keys,
            coordinator=self.coordinator.location,
            roles=config.roles,
            launched=config.launched_nodes,
            hold=hold,
            direct_feed=None if self._direct is None else DIRECT_FEED,
            direct_limited=self._limited,
            lease_seconds=config.lease_seconds,
            version=__version__,
            python=".".join(map(str, sys.version_info[:2])),
            packages=config.required_packages,
            default_fs=default_fs,
            working_dir=working_dir,
            log_dir=config.log_dir and absolute_log_dir(config.log_dir),
            work_dir=config.work_dir and os.path.abspath(config.work_dir),
            environment=config.node_environment,
            gpus=config.gpus,
            gpu_memory_growth=config.gpu_memory_growth,
            tensorboard=config.tensorboard_place == "chief",
        )

    def _reserve_slots(self, spark: SparkSession, config: ClusterConfig, fed: bool) -> bool:
        slots.check_settings(spark)
        nodes = config.launched_nodes
        available = slots.available_slots(spark, nodes + fed)
        return _slot_registry.reserve(
            self._id,
            nodes,
            lambda taken: slots.holds_slots(config.slots, nodes, fed, available, taken),
            failed=lambda: bool(self._state.failures),
        )

    def _wait_for_start(self, spark: SparkSession, seconds: float) -> None:
        limit, told = StartLimit(seconds, self.plan.launched), False
        while not self.coordinator.require(AllStarted(), min(limit.remaining, _LOOK_SECONDS)):
            busy = limit.look(activity(spark), _slot_registry.taken_by_others(self._id))
            if busy and not told:
                logger.info("cluster %s: waits for Spark, which runs other tasks first", self._id)
            told = told or busy
            if not limit.remaining:
                raise LaunchError(
                    f"some nodes did not start within {seconds:g} s; look at the executors' logs, "
                    "look for waiting tasks in Spark's UI, or raise start_seconds"
                )

    def _on_launch_ended(self, failures: list[Failure], error: Exception | None) -> None:
        _slot_registry.give_back(self._id)
        if failures:
            self.coordinator.fail(failures[0])
        elif error is not None:
            self._launch_failure = launch_failure(
                error, self.plan.roles.names, direct=self._direct is not None
            )
            self.coordinator.fail(self._launch_failure)
        elif self.plan.hold and not self.coordinator.wait_for(AllStarted(), timeout=0):
            message = "Spark ended the tasks that start the nodes before every node ran"
            self.coordinator.fail(Failure("LaunchError", message))
        elif self.plan.hold:
            self._check_left()

    def _check_left(self) -> None:
        """Fail the nodes whose launch tasks have ended, as tasks do when they cannot report why."""
        for name in self.coordinator.snapshot().running(range(self.plan.launched)):
            message = "the Spark task of this node and its agent have ended without a report"
            self.coordinator.fail(Failure("AgentLostError", message, name))
