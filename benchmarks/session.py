"""One Spark application for all measurements, and the processes that belong to it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import tensorsparkml as tsm
from benchmarks import data
from tensorsparkml.config import SlotMode

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MASTER = "local-cluster[2,2,2048]"

# Inherited by everything that this run starts.
_MARK = "TENSORSPARKML_BENCHMARK_RUN"
_NODE_MODULES = ("tensorsparkml.executor.agent", "tensorsparkml.trainer.process")


class Session:
    """Starts Spark when it is first needed.

    Args:
        slots: Whether clusters hold or release their task slots, as `Cluster` takes it.
        scale: Part of each measurement's rows that is used, for quick looks.
    """

    def __init__(self, slots: SlotMode = "auto", scale: float = 1.0) -> None:
        self.slots = slots
        self.scale = scale
        os.environ[_MARK] = str(os.getpid())

    @cached_property
    def spark(self) -> SparkSession:
        """Two executor JVMs of two slots each."""
        tsm.ensure_java()
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        from pyspark.sql import SparkSession

        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(data.ROOT)]))
        return (
            SparkSession.builder.master(MASTER)
            .appName("benchmarks")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.log.level", "OFF")
            # For what Spark pickles by the name of its module.
            .config("spark.executorEnv.PYTHONPATH", path)
            # A file, a partition.
            .config("spark.sql.files.openCostInBytes", "1g")
            .getOrCreate()
        )

    def rows(self, kind: str) -> int:
        """How many rows of a kind are measured."""
        return int(data.ALL_KINDS[kind].rows * self.scale)

    def frame(self, kind: str, part: int = 1) -> DataFrame:
        """The rows of a kind, or the first of so many parts of them, read from Parquet files."""
        files = data.parquet_files(kind, self.rows(kind))
        return self.spark.read.parquet(*(str(path) for path in files[: len(files) // part]))

    def close(self) -> None:
        """Stop Spark if it runs."""
        if "spark" in self.__dict__:
            self.spark.stop()


def own_processes() -> Iterator[tuple[psutil.Process, list[str]]]:
    """All processes of this run with their command lines, this one included."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            command = process.cmdline()
            if process.pid == os.getpid() or process.environ().get(_MARK) == os.environ[_MARK]:
                yield process, command


def node_processes() -> list[psutil.Process]:
    """The agents and trainers that live."""
    return [
        process
        for process, command in own_processes()
        if any(module in command for module in _NODE_MODULES)
        and process.status() != psutil.STATUS_ZOMBIE
    ]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It does not come to hold.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.01)


def wait_for_files(paths: list[Path], seconds: float = 300.0) -> None:
    """Wait until all files exist."""
    names = ", ".join(path.name for path in paths)
    wait_until(lambda: all(path.exists() for path in paths), names, seconds)
