"""A driver of its own, for tests that end it."""

import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

from left_processes import leave_processes

import tensorsparkml as tsm


def main(args, ctx):
    leave_processes(args["folder"], ctx.rank)
    Path(args["folder"], f"node-{ctx.rank}").write_text(str(os.getpid()))
    threading.Event().wait()


def search(folder, spark):
    """Fit in a thread of Spark ML's cross-validation, while this one waits."""
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.tuning import CrossValidator

    from tensorsparkml.ml import KerasEstimator

    def build(rank):
        main({"folder": folder}, SimpleNamespace(rank=rank))

    estimator = KerasEstimator(build, clusterSettings={"lease_seconds": 36_000.0})
    # Each has nodes of its own, since they read other columns.
    maps = [
        {estimator.modelArgs: {"rank": rank}, estimator.featuresCol: name}
        for rank, name in enumerate("xz")
    ]
    validator = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=maps,
        evaluator=RegressionEvaluator(),
        parallelism=2,
    )
    validator.fit(spark.range(100).selectExpr("float(id) x", "float(id) z", "float(id) label"))


if __name__ == "__main__":
    folder, slots = sys.argv[1:]
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local-cluster[2,1,512]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
        .config("spark.executor.memory", "512m")
        .getOrCreate()
    )
    try:
        # Hours of silence, so that agents notice the driver's end by what breaks.
        if slots == "search":
            search(folder, spark)
        else:
            args, lease = {"folder": folder}, 36_000.0
            tsm.run(main, args, spark=spark, num_workers=2, slots=slots, lease_seconds=lease)
    except KeyboardInterrupt:
        Path(folder, "interrupted").touch()
        spark.stop()
        raise
