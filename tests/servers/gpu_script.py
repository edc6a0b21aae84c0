"""A driver whose Spark schedules GPUs that a script invents; prints what nodes see, as JSON."""

import json
import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

import tensorsparkml as tsm

# Two Workers run it, on this same host: each finds others.
DISCOVERY = """#!/bin/sh
if mkdir {folder}/first 2>/dev/null; then addresses='"3", "5"'; else addresses='"7", "9"'; fi
echo "{{\\"name\\": \\"gpu\\", \\"addresses\\": [$addresses]}}"
"""


def main(args, ctx):
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "TF_FORCE_GPU_ALLOW_GROWTH")
    loaded = "tensorflow" in sys.modules
    return [loaded, *(os.environ.get(name) for name in names)]


def load():
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "TF_FORCE_GPU_ALLOW_GROWTH")
    seen = " ".join(str(os.environ.get(name)) for name in names)
    return lambda number: [seen] * len(number)


def predicted(spark: SparkSession) -> list:
    predictor = tsm.load_model(load, spark=spark, returns="string")
    rows = spark.range(0, 4, 1, 4).select(predictor("id").alias("seen"))
    return [row.seen for row in rows.collect()]


def refused(spark: SparkSession, **settings) -> list:
    try:
        tsm.run(main, spark=spark, **settings)
    except tsm.errors.NotEnoughGpusError as error:
        return [error.node, error.message]
    raise AssertionError("the cluster has started")


def run(folder: Path) -> dict:
    script = folder / "discover.sh"
    script.write_text(DISCOVERY.format(folder=folder))
    script.chmod(0o755)
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    spark = (
        SparkSession.builder.master("local-cluster[2,2,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
        .config("spark.worker.resource.gpu.amount", "2")
        .config("spark.worker.resource.gpu.discoveryScript", str(script))
        .config("spark.executor.resource.gpu.amount", "2")
        .config("spark.task.resource.gpu.amount", "1")
        .getOrCreate()
    )
    found = {
        "assigned": tsm.run(main, spark=spark, num_workers=4, gpu_memory_growth=True),
        "predicted": predicted(spark),
        "wanted": tsm.run(main, spark=spark, num_workers=2, gpus=1),
        "none": tsm.run(main, spark=spark, num_workers=2, gpus=0),
        "given": tsm.run(main, spark=spark, environment={"CUDA_VISIBLE_DEVICES": "11"}),
        "too few": refused(spark, num_workers=2, gpus=2),
    }
    spark.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
