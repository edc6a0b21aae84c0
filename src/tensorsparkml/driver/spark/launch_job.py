"""The launch job: one barrier task per node, through `DataFrame.mapInArrow`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.protocol.codec import decode_fields
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.spark.columns import map_in_arrow
from tensorsparkml.driver.spark.jobs import SparkJob, collect_dataframe
from tensorsparkml.driver.spark.remote_import import remote_import

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

_SCHEMA = "failure string"


def launch_task(plan: ClusterPlan, main: bytes) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function of the launch tasks.

    It is sent to the executors by value and imports this library there, so that an executor
    without the library can report what is missing.
    """
    encoded, import_task = plan.encode(), remote_import("tensorsparkml.executor.launch.task")

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        import json
        import os
        from dataclasses import asdict

        import pyarrow as pa
        from pyspark import BarrierTaskContext

        # When a task is killed that is about to get its Python worker, Spark ends the process that
        # forks an executor's workers, which takes along its process group. A node survives that.
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        context = BarrierTaskContext.get()
        rank = context.partitionId()
        run_task = import_task().run_task
        from tensorsparkml.control.protocol.plan import ClusterPlan

        host = context.getTaskInfos()[rank].address.rpartition(":")[0].strip("[]")
        plan = ClusterPlan.decode(encoded)
        gpus = context.resources().get("gpu")
        assigned = None if gpus is None else gpus.addresses
        failure = run_task(plan, main, rank, host, assigned, batches)
        if failure is not None:
            yield pa.record_batch({"failure": [json.dumps(asdict(failure))]})

    return task


def launch_job(
    spark: SparkSession,
    plan: ClusterPlan,
    main: bytes,
    data: DataFrame | None,
    on_end: Callable[[list[Failure], Exception | None], None],
) -> SparkJob:
    """Return the launch job, not started yet.

    Args:
        spark: The session.
        plan: The cluster.
        main: The pickled main function and its arguments.
        data: DataFrame whose rows the launch tasks deliver, or None.
        on_end: Called, from a thread, with the failures of tasks and Spark's exception or None.
    """
    nodes, task = plan.launched, launch_task(plan, main)

    def spread(rows: DataFrame) -> DataFrame:
        # Where Spark knows that there are no rows, as after `limit(0)`, it would run no task.
        nothing = spark.createDataFrame(spark.sparkContext.emptyRDD(), rows.schema)
        return rows.union(nothing).repartition(nodes)

    if data is None:
        tasks = spark.range(0, nodes, 1, nodes).mapInArrow(task, _SCHEMA, barrier=True)
    else:
        tasks = map_in_arrow(data, task, _SCHEMA, barrier=True, spread=spread)

    def decode(rows: list[Row], error: Exception | None) -> None:
        on_end([decode_fields(Failure, json.loads(row.failure)) for row in rows], error)

    return SparkJob(collect_dataframe(tasks), f"tensorsparkml-{plan.cluster_id}-launch", decode)
