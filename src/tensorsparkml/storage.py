"""Paths and URIs on any filesystem that fsspec knows."""

from __future__ import annotations

import getpass
import os
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
    if urlsplit(path).scheme:
        return local_path(path) or path
    if local_path(default_fs) is not None:
        return os.path.normpath(os.path.join(working_dir, path))
    root = default_fs.rstrip("/")
    return root + path if path.startswith("/") else f"{root}/user/{getpass.getuser()}/{path}"


def local_path(uri: str) -> str | None:
    """Return the path of a URI on the local filesystem, or None for another one."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        # Not `parts.path`: a "#" or a "?" belongs to the name of a file.
        return uri.partition(":")[2].removeprefix(f"//{parts.netloc}")
    return None if parts.scheme else uri


def write_directory(uri: str, write: Callable[[str], None]) -> None:
    """Write a folder so that it is either whole or not there; one that is there is replaced.

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
    staged = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}")
    try:
        write(str(staged))
        if destination.exists():
            shutil.rmtree(destination)
        staged.rename(destination)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
