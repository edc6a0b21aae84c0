"""Processes that a main starts and does not end."""

import subprocess
import sys
from pathlib import Path

import cloudpickle
import psutil
from node_processes import wait_until

# Executors do not have this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def leave_processes(folder: str, node: int) -> None:
    """Start a process in a session of its own, and a daemon: its parent ends, its files are closed.

    Their process ids are in files of the folder when this returns.
    """
    session = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    Path(folder, f"{node}-session.left").write_text(str(session.pid))
    daemon = Path(folder, f"{node}-daemon.left")
    script = 'sleep 1000 < /dev/null > /dev/null 2>&1 & echo $! > "$0"'
    subprocess.run(["sh", "-c", script, str(daemon)], start_new_session=True, check=True)


def left_processes(folder: Path) -> list[psutil.Process]:
    """Those of them that run."""
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
    """Whether the processes of that many nodes end in time; those that do not are killed."""
    assert len(list(folder.glob("*.left"))) == 2 * nodes
    ended = wait_until(lambda: not left_processes(folder), seconds)
    for process in left_processes(folder):
        process.kill()
    return ended
