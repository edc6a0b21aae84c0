"""Makes the files of a job visible all together, or not at all.

Tasks write below a hidden folder, and say which files they have written. At the end the driver
moves the files of those tasks that Spark names to their places: a task that was repeated, or ran
twice, has written files of other names, which are removed with the folder.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from posixpath import dirname
from typing import TYPE_CHECKING, TypeVar

from tensorsparkml.storage import filesystem_of, move_file, translated_errors

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

_SUCCESS = "_SUCCESS"
_STAGING = "_temporary-"
_LOG = "_batches-"
_AT_ONCE = 16  # requests to an object store


@dataclass(frozen=True)
class WrittenFile:
    """A file that a task has written.

    Attributes:
        staged: Its name below the hidden folder.
        name: Its name below the folder of the output, the folders of its partition included.
    """

    staged: str
    name: str

    @property
    def folder(self) -> str:
        """The folders of its partition."""
        return dirname(self.name)


class Job:
    """A job that writes files into a folder.

    Args:
        uri: The folder.
        overwrite: Whether the files that are there are removed at the end.
        dynamic: Whether only those of the partitions that are written are removed.
    """

    def __init__(self, uri: str, *, overwrite: bool, dynamic: bool) -> None:
        self._output = _Output(uri, uuid.uuid4().hex)
        self._overwrite = overwrite
        self._dynamic = dynamic

    @property
    def staging(self) -> str:
        """The hidden folder."""
        return self._output.staging

    def commit(self, files: Sequence[WrittenFile]) -> None:
        """Make files visible, and then remove what they replace.

        No file has the name of another one, so that nothing is lost if this ends in the middle.
        """
        output = self._output
        with translated_errors(f"write to {output.uri}"):
            output.filesystem.invalidate_cache()
            replaced = self._replaced(files)
            try:
                output.show(files)
            except BaseException:  # readers must not see a part of them
                output.remove([f"{output.root}/{each.name}" for each in files])
                raise
            output.remove(replaced)
            output.remove_staging()
            output.filesystem.touch(f"{output.root}/{_SUCCESS}")

    def abort(self) -> None:
        """Remove what tasks have written."""
        with translated_errors(f"clean up {self.staging}"):
            self._output.filesystem.invalidate_cache()
            self._output.remove_staging()

    def _replaced(self, files: Iterable[WrittenFile]) -> list[str]:
        """Return the files that are removed: not what jobs are writing."""
        filesystem, root = self._output.filesystem, self._output.root
        if not self._overwrite or not filesystem.exists(root):
            return []
        folders = {each.folder for each in files} if self._dynamic else {""}
        places = [f"{root}/{each}".rstrip("/") for each in sorted(folders)]
        found = [
            path for each in places if filesystem.exists(each) for path in filesystem.find(each)
        ]
        inside = root.lstrip("/") + "/"
        return sorted(
            path
            for path in found
            if not path.lstrip("/").removeprefix(inside).startswith((_STAGING, _LOG))
        )


class StreamJob:
    """A query that writes one batch after the other into a folder.

    Spark may commit a batch again, if it did not note that it was committed. Before the files of a
    batch become visible, a hidden file names them: whoever commits it again moves the rest of
    them, and not the files of the repeated tasks.

    Args:
        uri: The folder.
        query: The query, which keeps its name when it is started again.
    """

    def __init__(self, uri: str, query: str) -> None:
        self._output = _Output(uri, query)
        self._log = f"{self._output.root}/{_LOG}{query}"

    @property
    def staging(self) -> str:
        """The hidden folder."""
        return self._output.staging

    def commit(self, files: Sequence[WrittenFile], batch: int) -> None:
        """Make the files of a batch visible, once."""
        output = self._output
        filesystem, note = output.filesystem, f"{self._log}/{batch}.json"
        with translated_errors(f"write to {output.uri}"):
            filesystem.invalidate_cache()
            if filesystem.exists(note):
                files = [WrittenFile(**each) for each in json.loads(filesystem.cat_file(note))]
            else:
                filesystem.makedirs(self._log, exist_ok=True)
                partial = f"{self._log}/_{uuid.uuid4().hex}"
                filesystem.pipe_file(partial, json.dumps([asdict(each) for each in files]).encode())
                move_file(filesystem, partial, note)
            output.show([each for each in files if filesystem.exists(output.staged(each))])
            output.remove_staging()
            for path in filesystem.ls(self._log, detail=False):
                if not path.endswith((f"/{batch}.json", f"/{batch - 1}.json")):
                    filesystem.rm_file(path)


class _Output:
    """A folder that gets files.

    Args:
        uri: The folder.
        name: What tells its hidden folder from those of others.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.uri = uri
        self.staging = f"{uri.rstrip('/')}/{_STAGING}{name}"
        self.root = filesystem_of(uri)[1].rstrip("/")
        self._staged = f"{self.root}/{_STAGING}{name}"

    @property
    def filesystem(self) -> AbstractFileSystem:
        """The filesystem of the folder; each process opens it itself."""
        return filesystem_of(self.uri)[0]

    def staged(self, file: WrittenFile) -> str:
        """Return the path of a file that is not visible yet."""
        return f"{self._staged}/{file.staged}"

    def show(self, files: Sequence[WrittenFile]) -> None:
        """Move files to their places."""
        self.filesystem.makedirs(self.root, exist_ok=True)
        for folder in sorted({each.folder for each in files} - {""}):
            self.filesystem.makedirs(f"{self.root}/{folder}", exist_ok=True)

        def move(file: WrittenFile) -> None:
            move_file(self.filesystem, self.staged(file), f"{self.root}/{file.name}")

        _all_at_once(move, files)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, and the folders that become empty."""

        def remove(path: str) -> None:
            if self.filesystem.exists(path):  # another job may have removed it
                self.filesystem.rm_file(path)

        _all_at_once(remove, paths)
        _remove_empty(self.filesystem, self.root, {dirname(path) for path in paths})

    def remove_staging(self) -> None:
        """Remove what is left in the hidden folder."""
        if self.filesystem.exists(self._staged):
            self.filesystem.rm(self._staged, recursive=True)


_Item = TypeVar("_Item")


def _all_at_once(do: Callable[[_Item], None], items: Sequence[_Item]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(do, items):
            pass


def _remove_empty(filesystem: AbstractFileSystem, root: str, folders: Iterable[str]) -> None:
    """Remove folders that have become empty; object stores have none."""
    waiting = {folder.rstrip("/") for folder in folders}
    while waiting:
        folder = max(waiting, key=len)
        waiting.remove(folder)
        below = len(folder.lstrip("/")) > len(root.lstrip("/"))
        if below and filesystem.exists(folder) and not filesystem.ls(folder, detail=False):
            filesystem.rmdir(folder)
            waiting.add(dirname(folder))
