"""The agents and trainers that a run of the tests has started."""

import contextlib
import os
import time
from pathlib import Path

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


def left_processes(folder: Path) -> list[psutil.Process]:
    """Those that run of the processes whose ids `leave_processes` has written."""
    found = []
    for path in folder.glob("*.left"):
        try:
            process = psutil.Process(int(path.read_text()))
            if process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            pass
    return found


def all_end(folder: Path, nodes: int, seconds: float) -> bool:
    """Whether those that that many nodes have left end in time; the others are killed."""
    assert len(list(folder.glob("*.left"))) == 2 * nodes
    ended = wait_until(lambda: not left_processes(folder), seconds)
    for process in left_processes(folder):
        process.kill()
    return ended
