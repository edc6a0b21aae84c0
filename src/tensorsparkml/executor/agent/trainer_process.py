"""The agent's hold on its trainer process: start, watch, explain its end, kill."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import BinaryIO, cast

import psutil

from tensorsparkml.control.processes import MARK, kill_descendants, kill_marked
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.pipe_frames import write_frame
from tensorsparkml.executor.agent.output_log import NodeLog
from tensorsparkml.executor.process_tree import (
    adopts_orphans,
    kernel_memory_kills,
    kill_group,
    kill_tree,
    reap_orphans,
)

logger = logging.getLogger(__name__)

_REAP_SECONDS = 1.0  # between looks at adopted processes that have ended


class Trainer:
    """A node's TensorFlow process, with all processes that its program starts.

    These end with it, also those that have left its session or outlived their parents: where
    this process adopts orphans, they are all below it, and elsewhere they have the node's mark.

    It is spawned, never forked, so its environment is set before TensorFlow is imported. Its
    standard input is its lifeline: the process kills itself when that ends.

    Args:
        environment: Complete environment of the process.
        settings: The trainer's settings, as JSON.
        main: The pickled main function and its arguments.
        log: Gets everything it prints.
        on_exit: Called, from a thread, with the exit status once it has ended.
        umask: The file mode creation mask of the process.
        others: Process ids of this process's other children, which do not end with it.
    """

    def __init__(
        self,
        environment: dict[str, str],
        settings: dict[str, object],
        main: bytes,
        log: NodeLog,
        on_exit: Callable[[int], None],
        umask: int = -1,
        others: Collection[int] = (),
    ) -> None:
        self._log = log
        self._mark = environment.get(MARK)
        self._others = frozenset(others)
        self._ended = threading.Event()
        self._on_exit = on_exit
        self._memory_kills = kernel_memory_kills()
        self._resident = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tensorsparkml.trainer.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            umask=umask,
        )
        output = cast(BinaryIO, self._process.stdout)
        threading.Thread(target=log.follow, args=(output,), name="log", daemon=True).start()
        self._lifeline = cast(BinaryIO, self._process.stdin)
        with suppress(BrokenPipeError):  # it died at once: the watch below reports that
            write_frame(self._lifeline, json.dumps(settings).encode())
            write_frame(self._lifeline, main)
        threading.Thread(target=self._watch, name="trainer-watch", daemon=True).start()
        if adopts_orphans():
            threading.Thread(target=self._reap, name="reaper", daemon=True).start()

    @property
    def process_id(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def sample_memory(self) -> int:
        """Remember and return the process's resident memory in bytes."""
        with suppress(psutil.NoSuchProcess):
            self._resident = psutil.Process(self._process.pid).memory_info().rss or self._resident
        return self._resident

    def allow_exit(self) -> None:
        """Tell the process, whose main has returned, that it may exit."""
        with suppress(BrokenPipeError, ValueError):  # it is gone, or known to be
            write_frame(self._lifeline, b"end")

    def kill(self) -> None:
        """Kill the process and everything it started."""
        kill_tree(self._process.pid)

    def explain_exit(self, status: int) -> Failure:
        """Return the failure for a process that ended without reporting anything itself."""
        if status >= 0:
            return Failure(
                "MainExitError",
                f"the program ended its process with exit status {status}; let its function return "
                "instead of calling os._exit",
            )
        name = _signal_name(-status)
        memory = f"{self._resident / 2**20:,.0f} MiB resident when last seen"
        if -status == signal.SIGKILL and kernel_memory_kills() > self._memory_kills:
            return Failure(
                "TrainerOutOfMemoryError",
                f"the kernel killed the TensorFlow process for lack of memory ({memory}); use "
                "smaller batches or models, or give the executors more memory outside of the "
                "JVM (spark.executor.memoryOverhead)",
            )
        # Abort is how TensorFlow's coordination service ends a process whose peers are gone.
        return Failure(
            "TrainerKilledError",
            f"signal {name} ended the TensorFlow process ({memory})" + _ADVICE.get(name, ""),
            consequence=name == "SIGABRT",
        )

    def _watch(self) -> None:
        status = self._process.wait()
        self._ended.set()
        self._kill_left()
        self._log.ended.wait(1.0)
        with suppress(BrokenPipeError):
            self._lifeline.close()
        self._on_exit(status)

    def _kill_left(self) -> None:
        """Kill what main has started and left behind."""
        kill_group(self._process.pid)
        if adopts_orphans():
            kill_descendants(spare=self._others)
        elif self._mark is not None:
            kill_marked(self._mark)

    def _reap(self) -> None:
        while not self._ended.wait(_REAP_SECONDS):
            reap_orphans({self._process.pid, *self._others})


_ADVICE = {
    "SIGKILL": "; somebody, or a container's limit, killed it",
    "SIGSEGV": "; native code crashed: the node's log may say where",
    "SIGABRT": "; native code gave up: the node's log says why",
    "SIGTERM": "; somebody, or the cluster manager, ended it",
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)


def python_environment() -> dict[str, str]:
    """Return this process's environment with its module path, for a Python that it starts."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def trainer_environment(extra: dict[str, str]) -> dict[str, str]:
    """Return the environment of a trainer: this process's, TensorFlow's, and what is given."""
    return {
        **python_environment(),
        "PYTHONUNBUFFERED": "1",
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1"),
        **extra,
    }
