"""Writes an archive of Spark's classes, with which JVMs start in two thirds of the CPU time.

The tests use it.

    .venv/bin/python tools/share_spark_classes.py .venv/spark.jsa

A JVM that another Java or another Spark has left behind reads its classes as usual.
"""

import os
import subprocess
import sys
from pathlib import Path

import tensorsparkml as tsm

# Those of tests/conftest.py: an archive is for one garbage collector.
OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def write(archive: Path) -> None:
    """Run this file in a JVM that writes the archive when it ends."""
    import pyspark

    tsm.ensure_java()
    at_exit = f"-XX:ArchiveClassesAtExit={archive.resolve()} -Xlog:disable -Xlog:all=off"
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    done = subprocess.run(
        [submit, "--master", "local[2]", "--driver-java-options", at_exit, __file__],
        env={**os.environ, "JAVA_TOOL_OPTIONS": OPTIONS, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def use_spark() -> None:
    """Do what most tests do."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    spark.range(100).selectExpr("id", "float(id) x").mapInArrow(list, "id long, x float").collect()
    spark.sparkContext.parallelize(range(4), 2).barrier().mapPartitions(list).collect()
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
    else:
        use_spark()
