"""The metrics of epochs that a fit ran before it was cut off."""

from __future__ import annotations

import json
from typing import Any

from tensorsparkml.storage import filesystem_of, translated_errors
from tensorsparkml.trainer.program_keras import program_keras

_FILE = "history.json"


def history_keeper(folder: str) -> Any:
    """Return a callback that keeps the metrics of each epoch in a file until training has ended.

    It is for the chief, beside Keras's `BackupAndRestore`, with which training goes on.

    Args:
        folder: Absolute path or URI of the folder of the backup.

    Returns:
        The callback. Its `history` has the metrics of all epochs by their names, those before
        training was cut off included.
    """
    filesystem, root = filesystem_of(folder)
    path = f"{root.rstrip('/')}/{_FILE}"

    class HistoryKeeper(program_keras().callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._epochs: list[dict[str, float]] = []

        @property
        def history(self) -> dict[str, list[float]]:
            names = dict.fromkeys(name for epoch in self._epochs for name in epoch)
            return {name: [epoch[name] for epoch in self._epochs] for name in names}

        def on_train_begin(self, logs: Any = None) -> None:
            with translated_errors(f"read {folder}/{_FILE}"):
                filesystem.invalidate_cache(root)
                if filesystem.exists(path):
                    self._epochs = json.loads(filesystem.cat_file(path))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found = {name: float(value) for name, value in (logs or {}).items()}
            self._epochs = [*self._epochs[:epoch], found]
            with translated_errors(f"write {folder}/{_FILE}"):
                filesystem.makedirs(root, exist_ok=True)
                filesystem.pipe_file(path, json.dumps(self._epochs).encode())

        def on_train_end(self, logs: Any = None) -> None:
            with translated_errors(f"delete {folder}/{_FILE}"):
                if filesystem.exists(path):
                    filesystem.rm_file(path)

    return HistoryKeeper()
