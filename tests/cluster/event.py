"""How tests show that an error comes from what happened, and not from a wait that ran out."""

import sys
from pathlib import Path

import cloudpickle

# Executors do not have this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

# With these settings nothing ends a cluster because time has passed: tests that have them and end
# show that the cause was noticed by itself.
NO_TIMEOUTS = {"lease_seconds": 36_000.0, "start_seconds": 36_000.0}


class Event:
    """Something that happens on one node, and that the test can ask for."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "event")

    def happen(self) -> None:
        """Note that it happened."""
        Path(self.path).touch()

    @property
    def happened(self) -> bool:
        return Path(self.path).exists()
