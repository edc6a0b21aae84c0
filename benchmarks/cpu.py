"""Where CPU time goes: seconds by kind of process."""

from __future__ import annotations

import contextlib
import os
from collections import Counter

import psutil

from benchmarks.session import own_processes

_KINDS = {
    "tensorsparkml.executor.agent": "agents",
    "tensorsparkml.trainer.process": "trainers",
    "pyspark.daemon": "Spark's Python",
    "org.apache.spark.executor.CoarseGrainedExecutorBackend": "executors' JVM",
}


def cpu_seconds() -> Counter[str]:
    """CPU seconds so far, user and system, of this run's processes by kind, and of the machine."""
    found: Counter[str] = Counter()
    for process, command in own_processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[_kind(process, command)] += times.user + times.system
    machine = psutil.cpu_times()
    found["whole machine"] = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
    return found


def _kind(process: psutil.Process, command: list[str]) -> str:
    if process.pid == os.getpid():
        return "driver's Python"
    for argument in command:
        if argument in _KINDS:
            return _KINDS[argument]
    return "driver's JVM" if process.name() == "java" else "others of this run"


def spent(before: Counter[str], after: Counter[str]) -> dict[str, float]:
    """CPU seconds between two looks: of this run, together, and what processes of others took."""
    kinds = {kind: after[kind] - before[kind] for kind in after if kind != "whole machine"}
    machine = after["whole machine"] - before["whole machine"]
    total = sum(kinds.values())
    return {**kinds, "together": total, "not this run": max(0.0, machine - total)}
