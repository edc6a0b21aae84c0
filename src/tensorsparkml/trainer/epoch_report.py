"""A Keras callback that tells the driver how each epoch went."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tensorsparkml.control.protocol.events import EpochEnded
from tensorsparkml.trainer.program_keras import program_keras


def epoch_report(send: Callable[[EpochEnded], None], rows_read: Callable[[], int]) -> Any:
    """Return a callback that sends epoch, metrics, seconds and rows at the end of each epoch.

    Args:
        send: Gets the report.
        rows_read: Returns how many rows all nodes have read so far.
    """

    class EpochReport(program_keras().callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._began = time.monotonic()
            self._rows = rows_read()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            epochs = self.params.get("epochs")
            send(
                EpochEnded(
                    epoch=int(epoch) + 1,
                    epochs=None if epochs is None else int(epochs),
                    logs={name: float(value) for name, value in (logs or {}).items()},
                    seconds=time.monotonic() - self._began,
                    rows=rows_read() - self._rows,
                )
            )

    return EpochReport()
