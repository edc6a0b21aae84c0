"""A driver of its own, for tests that end it."""

import os
import sys
import threading
from pathlib import Path

from left_processes import leave_processes

import tensorsparkml as tsm


def main(args, ctx):
    leave_processes(args["folder"], ctx.rank)
    Path(args["folder"], f"node-{ctx.rank}").write_text(str(os.getpid()))
    threading.Event().wait()


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
        tsm.run(
            main,
            {"folder": folder},
            spark=spark,
            num_workers=2,
            slots=slots,
            lease_seconds=36_000.0,
        )
    except KeyboardInterrupt:
        Path(folder, "interrupted").touch()
        spark.stop()
        raise
