"""What holds for all tests."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import tensorsparkml as tsm
from tensorsparkml.config import make_config
from tensorsparkml.driver import cluster, parallel

# The JVMs of a test live for a minute, in which the second compiler and parallel garbage collection
# cost more than they bring: a seventh of all CPU time on two cores.
JVM_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
ARCHIVE = Path(sys.prefix, "spark.jsa")  # of tools/share_spark_classes.py
if ARCHIVE.exists():
    JVM_OPTIONS += f" -XX:SharedArchiveFile={ARCHIVE} -Xlog:disable -Xlog:all=off"
os.environ.setdefault("JAVA_TOOL_OPTIONS", JVM_OPTIONS)

# How long an example takes, or takes to make, says what else runs on the machine.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("untimed", **UNTIMED)
settings.register_profile("quick", **UNTIMED, max_examples=20)
settings.load_profile("untimed")

START_SECONDS = 600.0  # so long a cluster may take to start beside whatever else runs


@pytest.fixture(autouse=True, scope="session")
def slow_starts():
    """Gives clusters that do not say how long they may take to start more than the default."""

    def make_patient_config(given):
        return make_config({"start_seconds": START_SECONDS, **given})

    with pytest.MonkeyPatch.context() as patch:
        for module in (cluster, parallel):
            patch.setattr(module, "make_config", make_patient_config)
        yield


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
