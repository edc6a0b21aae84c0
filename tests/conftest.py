"""What holds for all tests."""

import os
import sys

import pytest
from hypothesis import settings

import tensorsparkml as tsm

# The JVMs of a test live for a minute, in which the second compiler and parallel garbage collection
# cost more than they bring: a seventh of all CPU time on two cores.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# How long an example takes says what else runs on the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def spark():
    """A Spark application with two executor JVMs of two slots each, for all tests of a process."""
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local-cluster[2,2,1024]")
        .appName("tests")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    yield session
    session.stop()
