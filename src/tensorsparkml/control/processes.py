"""Ending what a node's program has started, from its agent, its trainer or its launch task.

A process is found below the one that looks, as long as its parents live; and by a mark in its
environment, which it inherits from the trainer, when they do not.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

import psutil

logger = logging.getLogger(__name__)

MARK = "TENSORSPARKML_NODE"  # the environment variable
_KILL_SECONDS = 5.0  # only a process that the kernel does not let go takes longer
_ROUND_SECONDS = 0.01


def node_mark(cluster_id: str, rank: int) -> str:
    """Return the value of the mark for the processes of one node."""
    return f"{cluster_id}/{rank}"


def kill_descendants(spare: Collection[int] = ()) -> None:
    """Kill all processes below this one, and collect the exit status of its children.

    Args:
        spare: Process ids of children that stay, with all processes below them.
    """
    _kill_while(lambda: _descendants(spare))


def kill_marked(mark: str) -> None:
    """Kill all processes with that mark, except this one."""
    _kill_while(lambda: _marked(mark))


def _kill_while(find: Callable[[], Iterator[psutil.Process]]) -> None:
    """Kill what is found until nothing is: a process may start others before it is killed."""
    deadline = time.monotonic() + _KILL_SECONDS
    refused: set[int] = set()
    while left := [process for process in find() if process.pid not in refused]:
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
            except psutil.AccessDenied:  # it has taken another user's rights
                refused.add(process.pid)
                logger.warning("no permission to kill process %d", process.pid)
        if time.monotonic() > deadline:
            logger.warning("these processes still run after SIGKILL: %s", left)
            return
        time.sleep(_ROUND_SECONDS)


def _descendants(spare: Collection[int]) -> Iterator[psutil.Process]:
    for child in psutil.Process().children():
        if child.pid in spare:
            continue
        # Before the child is killed: its children then have another parent.
        with suppress(psutil.NoSuchProcess):
            yield from filter(_runs, child.children(recursive=True))
        if _runs(child):
            yield child
        else:
            with suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["environ"]):
        environment = process.info["environ"] or {}  # None for other users' processes
        if environment.get(MARK) == mark and process.pid != os.getpid() and _runs(process):
            yield process


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
