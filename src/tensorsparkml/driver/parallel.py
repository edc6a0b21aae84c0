"""`run_parallel`: independent programs of one node each, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Unpack

from tensorsparkml.checks import checked, several, switch
from tensorsparkml.config import ClusterSettings, make_config
from tensorsparkml.driver.cluster import Cluster
from tensorsparkml.driver.lifecycle.pickling import main_function, pickle_function
from tensorsparkml.driver.lifecycle.running_cluster import free_slots
from tensorsparkml.driver.spark.session import session, usable_session
from tensorsparkml.driver.spark.slots import check_settings
from tensorsparkml.errors import ConfigurationError, NotEnoughSlotsError, TensorSparkMLError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_SECONDS = 0.25  # between two looks whether another instance has failed


class _Ended(Exception):
    """Ends an instance because another one has failed."""


@checked(main=main_function, args=several, spark=session, at_once=switch)
def run_parallel(
    main: Callable[[Any, Any], Any],
    args: Sequence[Any],
    *,
    spark: SparkSession | None = None,
    at_once: bool = False,
    **settings: Unpack[ClusterSettings],
) -> list[Any]:
    """Run a main function several times, each time as an independent program on one node.

    The instances do not communicate: each has a context with `num_workers` 1. If there are more
    instances than free task slots, some wait until others have ended.

    Args:
        main: The program, `main(args, ctx)`.
        args: A list with the first argument of main for each instance.
        spark: The session; the active one if omitted.
        at_once: Whether all instances must run at the same time.
        settings: The fields of `ClusterConfig` that apply to one node: `environment`, `gpus` and
            so on. Each instance has its own folder below `log_dir`, such as `instance-2`.

    Returns:
        The results of main, in the order of `args`.

    Raises:
        NotEnoughSlotsError: No task slot is free, or, with `at_once`, fewer than there are
            instances.
        TensorSparkMLError: An instance failed. The message begins with its index in `args`. The
            other instances were ended.
    """
    config = make_config(settings)
    if len(config.roles.nodes) > 1 or "num_workers" in settings:
        raise ConfigurationError(
            "run_parallel runs each program on one node; leave out num_workers and settings for "
            "more nodes, and pass one element of args for each program"
        )
    spark = usable_session(spark)
    check_settings(spark)
    free = free_slots(spark, len(args))
    if free < (len(args) if at_once else min(1, len(args))):
        raise NotEnoughSlotsError(
            f"{len(args)} instances need {len(args) if at_once else 1} free task slots"
            f"{' at the same time' if at_once else ''}, but this Spark application has {free}; "
            "raise spark.executor.instances, spark.executor.cores or spark.cores.max, or run "
            "fewer instances"
        )
    failed = threading.Event()

    # Made here, because pickling by value is not for several threads at a time.
    program = pickle_function(main)
    clusters = [
        Cluster(program, each, spark=spark, fed=False, feeds=(), **_settings_of(place, settings))
        for place, each in enumerate(args)
    ]

    def run_one(place: int) -> Any:
        if failed.is_set():
            raise _Ended
        try:
            cluster = clusters[place]
            with cluster:
                while not cluster.wait(_LOOK_SECONDS):
                    if failed.is_set():
                        raise _Ended
            return cluster.results[0]
        except TensorSparkMLError as error:
            error.message = f"instance {place} of {len(args)}: {error.message}"
            raise

    with ThreadPoolExecutor(max(1, min(free, len(args)))) as pool:
        instances = [pool.submit(run_one, place) for place in range(len(args))]
        try:
            done, _ = wait(instances, return_when=FIRST_EXCEPTION)
        except BaseException:
            failed.set()
            raise
        if cause := _cause(done):
            failed.set()
            raise cause
    return [instance.result() for instance in instances]


def _settings_of(place: int, settings: ClusterSettings) -> ClusterSettings:
    folder = settings.get("log_dir")
    return settings if folder is None else {**settings, "log_dir": f"{folder}/instance-{place}"}


def _cause(instances: set[Future[Any]]) -> BaseException | None:
    errors = (instance.exception() for instance in instances)
    return next((error for error in errors if error and not isinstance(error, _Ended)), None)
