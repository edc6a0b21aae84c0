"""A node's log folder, and its copy on a filesystem that TensorFlow and TensorBoard do not know."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from tensorsparkml.storage import filesystem_of, local_path

_COPY_SECONDS = 10.0  # between looks at which files have changed


def node_log_dir(log_dir: str | None, base: Path, node: str) -> Path:
    """Return the local folder in which a node writes its logs and event files.

    Args:
        log_dir: Path or URI of the cluster's log folder, or None for one below `base`.
        base: The cluster's work folder on this host.
        node: The node's name in file names. A folder that is copied belongs to one node alone.
    """
    if log_dir is None:
        return base / "logs"
    local = local_path(log_dir)
    return base / "logs" / node if local is None else Path(local)


class LogCopies:
    """Copies the files of a local folder to a URI, again and again, those that have changed.

    Args:
        folder: The local folder.
        uri: Where copies go; what is there by another name stays.
        warn: Called with a message when something cannot be copied, once for each reason.
    """

    def __init__(self, folder: Path, uri: str, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._uri = uri
        self._warn = warn
        self._warned: set[str] = set()
        self._filesystem, self._target = filesystem_of(uri)
        self._copied: dict[Path, tuple[int, int]] = {}
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log copies", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Copy what is left, and delete the local folder if everything has arrived."""
        self._finished.set()
        self._thread.join()
        if self.copy():
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self._warn(f"not all logs could be copied to {self._uri}; they stay in {self._folder}")

    def copy(self) -> bool:
        """Copy what has changed since the last call, and return whether everything has arrived."""
        whole = True
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.is_file():
                    self._copy_file(path)
            except Exception as error:  # filesystems raise classes of their own
                whole = False
                reason = f"{type(error).__name__}: {error}"
                if reason not in self._warned:
                    self._warned.add(reason)
                    self._warn(f"{path} could not be copied to {self._uri}: {reason}")
        return whole

    def _copy_file(self, path: Path) -> None:
        state = path.stat()
        version = (state.st_size, state.st_mtime_ns)
        if self._copied.get(path) == version:
            return
        target = f"{self._target.rstrip('/')}/{path.relative_to(self._folder).as_posix()}"
        self._filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._filesystem.put_file(str(path), target)
        self._copied[path] = version

    def _run(self) -> None:
        while not self._finished.wait(_COPY_SECONDS):
            self.copy()
