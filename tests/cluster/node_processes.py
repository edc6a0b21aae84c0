"""The agents and trainers that a run of the tests has started."""

import contextlib
import os
import time

import psutil

# Inherited by everything that a test starts, so that runs side by side do not see each other's.
MARK = "TENSORSPARKML_TEST_RUN"
os.environ[MARK] = str(os.getpid())

MODULES = (
    "tensorsparkml.executor.agent",
    "tensorsparkml.trainer.process",
    "tensorsparkml.board.process",
)


def node_processes() -> list[psutil.Process]:
    """All agents, trainers and TensorBoards that this run of the tests has started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(module in command for module in MODULES) and (
                process.environ().get(MARK) == os.environ[MARK]
            ):
                found.append(process)
    return found


def wait_until(condition, seconds: float = 300.0) -> bool:
    """Whether a condition comes to hold in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
