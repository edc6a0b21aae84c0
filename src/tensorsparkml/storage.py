"""Paths and URIs on any filesystem that fsspec knows."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import fsspec


def absolute_path(path: str, default_fs: str, working_dir: str) -> str:
    """Return a path as every process of a cluster can use it.

    Args:
        path: A URI, which stays as it is; an absolute path on the default filesystem; or a path
            relative to the user's home there, or to the driver's working directory where the
            default filesystem is local.
        default_fs: Hadoop's default filesystem, such as `hdfs://nameservice` or `file:///`.
        working_dir: The driver's working directory.

    Returns:
        A URI, or an absolute path where the filesystem is local.
    """
    if _is_uri(path):
        return local_path(path) or path
    if local_path(default_fs) is not None:
        return os.path.normpath(os.path.join(working_dir, path))
    root = default_fs.rstrip("/")
    return root + path if path.startswith("/") else f"{root}/user/{getpass.getuser()}/{path}"


def local_path(uri: str) -> str | None:
    """Return the path of a URI on the local filesystem, or None for another one."""
    if not _is_uri(uri):
        return uri
    parts = urlsplit(uri)
    # Not `parts.path`: a "#" or a "?" belongs to the name of a file.
    return (
        uri.partition(":")[2].removeprefix(f"//{parts.netloc}") if parts.scheme == "file" else None
    )


def _is_uri(path: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None


def write_directory(uri: str, write: Callable[[str], None]) -> None:
    """Write a folder, replacing one that is there.

    A local folder is either whole or not there. Other filesystems cannot rename a folder at once:
    there the content is complete before the upload begins, but readers can see a part of it.

    Args:
        uri: Where the folder is to be.
        write: Writes its content to the local path it is given.
    """
    local = local_path(uri)
    if local is None:
        with TemporaryDirectory() as staging:
            source = os.path.join(staging, "content")
            write(source)
            filesystem, target = fsspec.core.url_to_fs(uri)
            if filesystem.exists(target):
                filesystem.rm(target, recursive=True)
            filesystem.put(source, target, recursive=True)
        return
    destination = Path(local)
    destination.parent.mkdir(parents=True, exist_ok=True)
    staged = _beside(destination)
    replaced = _beside(destination)
    try:
        write(str(staged))
        if not staged.exists():
            raise FileNotFoundError(f"nothing was written for {uri}")
        if destination.exists():
            destination.rename(replaced)
        staged.rename(destination)
    finally:
        for leftover in (staged, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
