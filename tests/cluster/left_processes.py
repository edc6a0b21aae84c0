"""Processes that a main starts and does not end."""

import subprocess
import sys
from pathlib import Path

import cloudpickle

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
