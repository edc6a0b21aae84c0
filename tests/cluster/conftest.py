"""A Spark application with two executor JVMs of two slots each, and no process left behind."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

import tensorsparkml as tsm

# Inherited by everything that a test starts, so that runs side by side do not see each other's.
MARK = "TENSORSPARKML_TEST_RUN"
os.environ[MARK] = str(os.getpid())

MODULES = ("tensorsparkml.executor.agent", "tensorsparkml.trainer.process")


def node_processes() -> list[psutil.Process]:
    """All agents and trainers that this run of the tests has started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(module in command for module in MODULES) and (
                process.environ().get(MARK) == os.environ[MARK]
            ):
                found.append(process)
    return found


def wait_until(condition, seconds: float = 15.0) -> bool:
    """Whether a condition comes to hold in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="session")
def spark():
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


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    assert not node_processes(), "an earlier test left processes"
    yield
    # Only what a test starts and the library must end by itself; nothing is waited for here but
    # the moment in which a killed process is still listed.
    assert wait_until(lambda: not node_processes(), 3.0), node_processes()
