"""Task slots: whether a cluster fits into the Spark application, and whether it holds slots."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tensorsparkml.config import SlotMode
from tensorsparkml.control.text import counted
from tensorsparkml.driver.spark.private_api import task_slots
from tensorsparkml.errors import ConfigurationError, NotEnoughSlotsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_REGISTRATION_SECONDS = 5.0  # executors may still be starting when the first cluster is asked for
_FAILED_SECONDS = 10.0  # for a cluster that has failed to give its slots back
_FIRST_SECONDS = 60.0  # for the first of them, before which nobody knows how many there will be

# Applications that had the time to register more slots than these, and have not.
_in_vain: set[tuple[str, int]] = set()


def holds_slots(mode: SlotMode, nodes: int, feeds: bool, slots: int, taken: int) -> bool:
    """Decide whether the launch tasks keep their slots.

    Args:
        mode: The user's setting.
        nodes: Number of nodes, each of which needs a slot to start.
        feeds: Whether other Spark jobs will feed the nodes while they run.
        slots: Tasks that the application can run at the same time.
        taken: Slots that other clusters of the application hold.

    Returns:
        True to hold them, False to release them once the nodes run.

    Raises:
        NotEnoughSlotsError: The nodes cannot start, or cannot be fed.
    """
    free = slots - taken
    others = f", and other clusters hold {taken} of them" if taken else ""
    have = f"this Spark application has {counted(slots, 'task slot')}{others}"
    if free < nodes:
        need = (
            "1 node needs 1 task slot"
            if nodes == 1
            else (f"{nodes} nodes need {nodes} task slots at the same time")
        )
        raise NotEnoughSlotsError(
            f"{need}, but {have}; lower "
            "num_workers, or raise spark.executor.instances, spark.executor.cores or "
            "spark.cores.max (one slot is spark.task.cpus cores)"
        )
    if mode == "hold" and feeds and free < nodes + 1:
        raise NotEnoughSlotsError(
            f'slots="hold" with {counted(nodes, "node")} needs {nodes + 1} task slots, one of them '
            f'for feeding tasks, but {have}; use slots="release", or raise '
            "spark.executor.instances or spark.executor.cores"
        )
    if mode == "auto":
        return free >= nodes + feeds
    return mode == "hold"


def check_settings(spark: SparkSession) -> None:
    """Raise ConfigurationError for settings with which Spark refuses barrier jobs."""
    if spark.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise ConfigurationError(
            "Spark does not run barrier stages with dynamic allocation; set "
            "spark.dynamicAllocation.enabled=false and a fixed spark.executor.instances"
        )


def asked_slots(master: str, setting: Callable[[str, str], str | None]) -> int | None:
    """Return how many task slots an application asks its cluster manager for.

    Args:
        master: Spark's master URL.
        setting: Returns a setting of Spark, given its name and its default.

    Returns:
        None if it depends on the cluster's size, as in standalone clusters without limits.
    """
    if re.fullmatch(r"local(\[[^]]*\])?", master):
        return 0  # those that there are, from the beginning
    per_task = int(setting("spark.task.cpus", "1") or 1)
    if found := re.fullmatch(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*\d+\s*]", master):
        executors, cores = map(int, found.groups())
        return executors * (cores // per_task)
    # A standalone executor has all cores of its worker, unless it is told otherwise.
    default_cores = "1" if master.startswith(("yarn", "k8s://")) else "0"
    cores = int(setting("spark.executor.cores", default_cores) or 0)
    executors = int(setting("spark.executor.instances", "0") or 0)
    return executors * (cores // per_task) or None


def available_slots(spark: SparkSession, needed: int) -> int:
    """Return the number of slots, giving executors time to register if there are too few.

    There is no wait if the application already has all slots that it has requested, or still as few
    as after an earlier wait.
    """
    asked = asked_slots(spark.sparkContext.master or "", spark.conf.get)
    deadline, any_yet = time.monotonic() + _FIRST_SECONDS, False
    while (slots := task_slots(spark)) < needed and time.monotonic() < deadline:
        if asked is not None and slots >= asked:
            return slots
        if (spark.sparkContext.applicationId, slots) in _in_vain:
            break
        if slots and not any_yet:
            deadline, any_yet = time.monotonic() + _REGISTRATION_SECONDS, True
        time.sleep(0.1)
    if any_yet and slots < needed:
        _in_vain.add((spark.sparkContext.applicationId, slots))
    return slots


class SlotRegistry:
    """The slots that the live clusters of this driver's Spark application hold."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, tuple[int, Callable[[], bool]]] = {}

    @property
    def taken(self) -> int:
        """Number of slots that are held."""
        with self._changed:
            return self._taken()

    def taken_by_others(self, cluster_id: str) -> int:
        """Return the number of slots that other clusters hold."""
        with self._changed:
            return sum(held for each, (held, _) in self._held.items() if each != cluster_id)

    def reserve(
        self,
        cluster_id: str,
        slots: int,
        decide: Callable[[int], bool],
        failed: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Take slots for a cluster, if it will hold them.

        If too few are free, this waits for the slots of clusters that have failed.

        Args:
            cluster_id: The cluster's id, with which the slots are given back.
            slots: Number of slots that the cluster would hold.
            decide: Called with the number of slots taken so far; returns whether the cluster holds
                its slots.
            failed: Returns whether the cluster has failed, so that its nodes are about to end.

        Returns:
            What `decide` returned.

        Raises:
            NotEnoughSlotsError: `decide` raised it.
        """
        with self._changed:
            while True:
                try:
                    hold = decide(self._taken())
                except NotEnoughSlotsError:
                    if not self._wait_for_failed():
                        raise
                    continue
                if hold:
                    self._held[cluster_id] = slots, failed
                return hold

    def give_back(self, cluster_id: str) -> None:
        """Forget the slots of a cluster whose launch job has ended."""
        with self._changed:
            self._held.pop(cluster_id, None)
            self._changed.notify_all()

    def _taken(self) -> int:
        return sum(slots for slots, _ in self._held.values())

    def _wait_for_failed(self) -> bool:
        """Wait until a cluster that has failed gives its slots back, and return whether one did."""
        ending = [cluster for cluster, (_, failed) in self._held.items() if failed()]
        return bool(ending) and self._changed.wait_for(
            lambda: any(cluster not in self._held for cluster in ending), _FAILED_SECONDS
        )
