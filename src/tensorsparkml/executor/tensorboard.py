"""The hold on a TensorBoard process: start, watch, stop. For the chief's agent and the driver."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from tensorsparkml.executor.agent.trainer_process import python_environment
from tensorsparkml.executor.folders import open_log
from tensorsparkml.executor.process_tree import kill_group, kill_tree


class TensorBoard:
    """A TensorBoard that serves the event files below a folder.

    It ends with this object's process, however that ends.

    Args:
        folder: Where event files are, or will be; made if it is not there.
        host: Address to listen on.
        on_serving: Called, from a thread, with its URL.
        on_end: Called, from a thread, with what is known when it has ended without `stop`.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        on_serving: Callable[[str], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._on_serving = on_serving
        self._on_end = on_end
        self._stopping = False
        self._log = folder / "nodes" / "tensorboard.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with open_log(self._log) as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tensorsparkml.board.process", str(folder), host],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # It may import TensorFlow, which must not take the nodes' GPUs.
                env={**python_environment(), "CUDA_VISIBLE_DEVICES": ""},
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._watch, name="tensorboard", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it, with everything that it has started."""
        self._stopping = True
        kill_tree(self._process.pid)
        self._thread.join()

    def _watch(self) -> None:
        lifeline = cast(IO[bytes], self._process.stdin)
        with lifeline, cast(IO[bytes], self._process.stdout) as answers:
            if answer := answers.readline():
                self._on_serving(json.loads(answer)["url"])
            status = self._process.wait()
        kill_group(self._process.pid)
        if not self._stopping:
            how = f"exit status {status}" if status >= 0 else f"signal {-status}"
            self._on_end(f"TensorBoard has ended ({how}); its output is in {self._log}")
