"""A driver whose Spark runs slow tasks twice; prints what the nodes read, as JSON."""

import json
import os
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tensorsparkml as tsm

ROWS = 40_000


def main(args, ctx):
    feed, ids = ctx.feed(), []
    while not feed.should_stop():
        ids += [int(number) for number in feed.next_batch(500)["id"]]
    return ids


def run(master: str, folder: Path) -> dict:
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master(master)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
        .config("spark.speculation", "true")
        .config("spark.speculation.interval", "100ms")
        .config("spark.speculation.quantile", "0.5")
        .config("spark.speculation.multiplier", "1.5")
        .getOrCreate()
    )
    copy_began = str(folder / "copy")

    @F.udf("long")
    def slow_at_first(number):
        from pyspark import TaskContext

        # Near the end of partition 0, when most of it has gone to the nodes.
        if number == ROWS // 4 - 500:
            if TaskContext.get().attemptNumber() == 0:
                while not os.path.exists(copy_began):
                    time.sleep(0.02)
            else:
                Path(copy_began).touch()
        return number

    data = spark.range(0, ROWS, 1, 4).select(slow_at_first("id").alias("id"))
    with tsm.Cluster(main, spark=spark, num_workers=2, slots="release") as cluster:
        report = cluster.train(data)
    spark.stop()
    ids = [number for part in cluster.results for number in part]
    return {
        "copied": os.path.exists(copy_began),
        "reported": report.rows,
        "rows": len(ids),
        "distinct": len(set(ids)),
        "difference": abs(len(cluster.results[0]) - len(cluster.results[1])),
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))
