"""The Spark session of the examples: that of `spark-submit`, or two executors on this machine."""

import atexit
import os
import sys

import tensorsparkml as tsm


def start_spark(name, master="local-cluster[2,2,1024]"):
    tsm.ensure_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Spark looks at this only where no spark-submit has started the program.
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"--master {master} pyspark-shell")
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.appName(name)
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    # A local cluster that is not stopped complains of its executors while the program ends.
    atexit.register(spark.stop)
    return spark
