"""A moment that a test waits for something after."""

import sys
import time
from pathlib import Path

import cloudpickle

# Executors do not have this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

WITHIN_SECONDS = 10.0  # what users wait for an error at most
# The same, where Spark first starts executors or their Python, which it takes as long as it takes.
STARTING_SECONDS = 60.0


class Event:
    """A moment on one node, seen by the test."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "event")

    def happen(self) -> None:
        """Note the time."""
        Path(self.path).write_text(str(time.time()))

    def age(self) -> float:
        return time.time() - float(Path(self.path).read_text())
