"""Ending processes with everything they started, and noticing that others have ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil

# Of Linux's prctl.
_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37


def kill_tree(process_id: int) -> None:
    """Kill a process that leads its own group, the group, and all its descendants."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(process_id)
        family = [leader, *leader.children(recursive=True)]
    kill_group(process_id)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def kill_group(group_id: int) -> None:
    """Kill all processes of a group, of which there may be none."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of each process below this one whose own parent ends, where Linux runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def adopts_orphans() -> bool:
    """Whether this process becomes the parent of orphans below it."""
    adopts = ctypes.c_int(0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0)
    return bool(adopts.value)


def reap_orphans(own: Collection[int]) -> None:
    """Collect the exit status of adopted processes that have ended, so that no zombies gather.

    Args:
        own: Process ids of children in sessions of their own whose status somebody else collects.
    """
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there are no children
            return
        # The children of this process's own session were started, not adopted.
        if found is None or found.si_pid in own or os.getsid(found.si_pid) == os.getsid(0):
            return
        with suppress(ChildProcessError):
            os.waitpid(found.si_pid, os.WNOHANG)


def executor_process(process_id: int) -> psutil.Process | None:
    """Return the JVM that a Spark Python worker belongs to, or None if none is above it."""
    with suppress(psutil.NoSuchProcess):
        for ancestor in psutil.Process(process_id).parents():
            if ancestor.name().startswith("java"):
                return ancestor
    return None


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs; a zombie does not, nor another process of the same id."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def kernel_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since it started.

    Linux counts them in /proc/vmstat, those of memory-limited containers included; elsewhere the
    answer is 0.
    """
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0
