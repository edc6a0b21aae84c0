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


def rows_of_slow_tasks(spark, copy_began):
    @F.udf("long")
    def slow_at_first(number):
        from pyspark import TaskContext

        # Near the end of partition 0, when most of it has gone on.
        if number == ROWS // 4 - 500:
            if TaskContext.get().attemptNumber() == 0:
                while not os.path.exists(copy_began):
                    time.sleep(0.02)
            else:
                Path(copy_began).touch()
        return number

    return spark.range(0, ROWS, 1, 4).select(slow_at_first("id").alias("id"))


def rows_of_a_dying_executor(spark, died):
    @F.udf("long")
    def die_once(number):
        import psutil

        if number == ROWS // 2 - 500 and not os.path.exists(died):
            Path(died).touch()
            executor = next(p for p in psutil.Process().parents() if p.name() == "java")
            executor.kill()
            time.sleep(60)  # until the end of the executor ends this process
        return number

    return spark.range(0, ROWS, 1, 4).select(die_once("id").alias("id"))


def write(spark, folder):
    """What files have of tasks that run twice, and of an executor that dies."""
    marks = [str(folder / "slow"), str(folder / "died")]
    rows = [rows_of_slow_tasks(spark, marks[0]), rows_of_a_dying_executor(spark, marks[1])]
    for number, each in enumerate(rows):
        tsm.tfrecord.write(each, str(folder / f"records-{number}"))
    names = [str(folder / f"records-{number}") for number in range(len(rows))]
    tables = [tsm.tfrecord.read(spark, name, schema="id long") for name in names]
    return {
        "happened": [os.path.exists(mark) for mark in marks],
        "rows": [table.count() for table in tables],
        "distinct": [table.distinct().count() for table in tables],
    }


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
    data = rows_of_slow_tasks(spark, copy_began)
    with tsm.Cluster(main, spark=spark, num_workers=2, slots="release") as cluster:
        report = cluster.train(data)
    written = write(spark, folder)
    spark.stop()
    ids = [number for part in cluster.results for number in part]
    return {
        "copied": os.path.exists(copy_began),
        "reported": report.rows,
        "rows": len(ids),
        "distinct": len(set(ids)),
        "written": written,
        "difference": abs(len(cluster.results[0]) - len(cluster.results[1])),
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))
