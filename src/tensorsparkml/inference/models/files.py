"""The files of a model: which they are now, and a copy of them on this host.

Files on the local filesystem are used where they are. Others are fetched once for each host, into a
folder of the user's own that all processes share: whoever comes first fetches them, while the
others wait. A copy appears only when it is complete, and is named by what identifies the files, so
that a model which was overwritten is another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorsparkml.errors import DataError
from tensorsparkml.executor.folders import (
    hold,
    hold_ended,
    private_folder,
    remove_tree,
    root_below,
)
from tensorsparkml.storage import filesystem_of, local_path, translated_errors

MOST_BYTES = 10 * 2**30
_FOLDER = "models"  # below the folder for this user's clusters
_LOCK = "lock"
_STAGED = ".fetch-"
_FETCHES = 3  # of a model that is overwritten meanwhile


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model, as they were listed.

    Attributes:
        path: Absolute path or URI of the file or the folder.
        found: What identifies each file, by its path below `path`; that of a single file is empty.
    """

    path: str
    found: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def names(self) -> list[str]:
        """Their paths below `path`."""
        return [name for name, _ in self.found]

    @property
    def key(self) -> str:
        """A name for them that differs where one of them differs."""
        return hashlib.sha256(json.dumps([self.path, self.found]).encode()).hexdigest()[:32]


def list_files(path: str) -> ModelFiles:
    """Return what files a model has now.

    Args:
        path: Absolute path or URI of the file or the folder.

    Raises:
        DataError: There are none, or they cannot be listed.
    """
    filesystem, root = filesystem_of(path)
    with translated_errors(f"read the model in {path}"):
        filesystem.invalidate_cache(root)
        details: dict[str, dict[str, Any]] = filesystem.find(root, detail=True)
        # Times without fractions of a second do not tell two exports in a row apart.
        fingerprints = {
            name: filesystem.cat_file(name).hex()
            for name in details
            if name.endswith("/fingerprint.pb")
        }
    if not details:
        raise DataError(f"there is no model in {path}: no such file or folder, or an empty one")
    start = len(root.rstrip("/"))
    found = [
        (name[start:].lstrip("/"), _identity(detail, fingerprints.get(name)))
        for name, detail in details.items()
    ]
    return ModelFiles(path, tuple(sorted(found)))


def _identity(detail: dict[str, Any], fingerprint: str | None) -> tuple[str, ...]:
    """Return what tells one content of a file from another, as far as its filesystem knows it."""
    keys = ("size", "ETag", "etag", "VersionId", "mtime", "mtime_ns", "LastModified", "modified")
    known = [f"{key}={detail[key]}" for key in keys if detail.get(key) is not None]
    return (*known, *([] if fingerprint is None else [fingerprint]))


@contextmanager
def local_copy(files: ModelFiles, most_bytes: int = MOST_BYTES) -> Iterator[tuple[ModelFiles, str]]:
    """Provide the files on the local filesystem, as long as the block runs.

    Args:
        files: The files, as they were listed.
        most_bytes: Size of all copies on this host, above which those are deleted that were not
            used for the longest time.

    Yields:
        The files, as they are now, and the local path of the file or the folder.

    Raises:
        DataError: The files cannot be fetched, or change again and again.
        ConfigurationError: The folder for the copies is not this user's alone.
    """
    if (local := local_path(files.path)) is not None:
        yield files, local
        return
    root = root_below(Path(tempfile.gettempdir()))
    copies = root / _FOLDER
    for folder in (root, copies):
        private_folder(folder)
    with _locked(copies / _LOCK):
        files = _fetched(files, copies)
        copy = copies / files.key
        held = hold(copy)
        try:
            os.utime(copy)
            _shrink(copies, most_bytes)
        except BaseException:
            os.close(held)
            raise
    try:
        yield files, str(copy / _name(files.path))
    finally:
        os.close(held)


def _fetched(files: ModelFiles, copies: Path) -> ModelFiles:
    """Fetch the files unless they are there, and return which they are now."""
    for _ in range(_FETCHES):
        if (copies / files.key).exists():
            return files
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=copies))
        try:
            _fetch(files, staged / _name(files.path))
            found = list_files(files.path)
            if found == files:
                staged.rename(copies / files.key)
                return files
            files = found
        finally:
            remove_tree(staged)
    raise DataError(
        f"the model in {files.path} was overwritten {_FETCHES} times while it was fetched; try "
        "again when nobody writes it"
    )


def _fetch(files: ModelFiles, target: Path) -> None:
    filesystem, source = filesystem_of(files.path)
    with translated_errors(f"fetch the model in {files.path}"):
        for below in files.names:
            to = target / below
            to.parent.mkdir(parents=True, exist_ok=True)
            filesystem.get_file(f"{source.rstrip('/')}/{below}".rstrip("/"), str(to))


def _name(path: str) -> str:
    """Return the last part of a path, since Keras looks at the end of a file's name."""
    return path.rstrip("/").rpartition("/")[2]


def _shrink(copies: Path, most_bytes: int) -> None:
    """Delete copies that nobody uses until the others are small enough."""
    for staged in copies.glob(f"{_STAGED}*"):  # whoever fetched them was killed
        remove_tree(staged)
    found = [copy for copy in copies.iterdir() if copy.is_dir()]
    sizes = {copy: _size(copy) for copy in found}
    for copy in sorted(found, key=lambda copy: copy.stat().st_mtime):
        if sum(sizes.values()) <= most_bytes:
            return
        if (held := hold_ended(copy)) is not None:
            remove_tree(copy)
            os.close(held)
            del sizes[copy]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the only lock on a file, which ends with this process at the latest."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
