"""Paths and URIs on any filesystem that fsspec knows."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    MissingPackageError,
    TensorSparkMLError,
)

if TYPE_CHECKING:  # agents and launch tasks seldom need it, and start faster without it
    from fsspec.spec import AbstractFileSystem

# The modules that open what fsspec has no code for, and the extras that bring them.
_EXTRAS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "hdfs": ("hdfs_native", "hdfs"),
    "viewfs": ("hdfs_native", "hdfs"),
}


# A path or a URI, as users give it.
StrPath = str | os.PathLike[str]


def absolute_path(path: StrPath, default_fs: str, working_dir: str) -> str:
    """Return a path that every process of a cluster can use.

    Args:
        path: A URI, which does not change; an absolute path on the default filesystem; or a
            relative path. A relative path starts at the driver's working directory if the default
            filesystem is local, and otherwise at the user's home on it.
        default_fs: Hadoop's default filesystem, such as `hdfs://nameservice` or `file:///`.
        working_dir: The driver's working directory.

    Returns:
        A URI, or an absolute path if the filesystem is local.
    """
    path = os.fspath(path)
    if _is_uri(path):
        return local_path(path) or path
    if local_path(default_fs) is not None:
        return os.path.normpath(os.path.join(working_dir, path))
    root = default_fs.rstrip("/")
    return root + path if path.startswith("/") else f"{root}/user/{getpass.getuser()}/{path}"


def local_path(uri: str) -> str | None:
    """Return the path of a URI on the local filesystem, or None for another filesystem."""
    if not _is_uri(uri):
        return uri
    parts = urlsplit(uri)
    # Not `parts.path`: a "#" or a "?" belongs to the name of a file.
    return (
        uri.partition(":")[2].removeprefix(f"//{parts.netloc}") if parts.scheme == "file" else None
    )


def _is_uri(path: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None


def filesystem_of(uri: str, given: Any = None) -> tuple[AbstractFileSystem, str]:
    """Return the filesystem of a URI, as fsspec knows it, and the path there.

    Args:
        uri: A path or a URI.
        given: An fsspec or pyarrow filesystem on which `uri` is a path. None uses fsspec's
            filesystem for the URI, or pyarrow's if fsspec lacks a package for it.

    Raises:
        MissingPackageError: The package that opens such URIs is not installed.
        ConfigurationError: No filesystem is known for it, or its settings are wrong.
    """
    import fsspec
    from fsspec.spec import AbstractFileSystem

    if given is not None:
        return (given if isinstance(given, AbstractFileSystem) else _wrapped(given)), uri
    if (local := local_path(uri)) is not None:
        return fsspec.filesystem("file"), local
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
        return filesystem, path
    except Exception as error:  # each of the packages has errors of its own
        from pyarrow.fs import FileSystem

        try:
            native, path = FileSystem.from_uri(uri)
        except (ValueError, OSError) as also:  # ArrowInvalid is a ValueError
            raise _not_opened(uri, error, also) from error
        return _wrapped(native), path


def _not_opened(uri: str, error: Exception, also: Exception) -> TensorSparkMLError:
    reasons = f"{_first_line(error)} (fsspec); {_first_line(also)} (pyarrow)"
    module, extra = _EXTRAS.get(urlsplit(uri).scheme, (None, None))
    if module is not None and find_spec(module) is None:
        return MissingPackageError(
            f"cannot open {uri}: {module.replace('_', '-')} is not installed. On every node: "
            f"pip install 'tensorsparkml[{extra}]' ({reasons})"
        )
    hint = "" if module else ". Is the package that fsspec needs for it installed on every node?"
    return ConfigurationError(f"cannot open {uri}: {reasons}{hint}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Turn errors of filesystems, which have no common base class, into a `DataError`.

    Args:
        doing: What the block does, such as `list s3://bucket/table`.

    Raises:
        DataError: The block raised an error that is not one of this library.
    """
    try:
        yield
    except TensorSparkMLError:
        raise
    except Exception as error:
        raise DataError(f"cannot {doing}: {type(error).__name__}: {error}") from error


def _wrapped(native: Any) -> AbstractFileSystem:
    from fsspec.implementations.arrow import ArrowFSWrapper

    return ArrowFSWrapper(native)


def arrow_filesystem(filesystem: AbstractFileSystem) -> Any:
    """Return the filesystem as one of pyarrow: pyarrow's own, if it has one."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from fsspec.implementations.local import LocalFileSystem
    from pyarrow import fs

    if isinstance(filesystem, ArrowFSWrapper):
        return filesystem.fs
    if isinstance(filesystem, LocalFileSystem):
        return fs.LocalFileSystem()
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem))


def move_file(filesystem: AbstractFileSystem, source: str, target: str) -> None:
    """Move a file to a path that is not taken: in one step, where the filesystem can rename."""
    from fsspec.spec import AbstractFileSystem

    if type(filesystem).mv is AbstractFileSystem.mv:  # which takes the paths for patterns
        filesystem.cp_file(source, target)
        filesystem.rm_file(source)
    else:
        filesystem.mv(source, target)


def write_directory(uri: str, write: Callable[[str], None]) -> None:
    """Write a folder, and replace an existing one.

    A local folder appears only when it is complete. Other filesystems cannot rename a folder in one
    step: there the upload begins when the content is complete, but readers may see a part of it.

    Args:
        uri: Path or URI of the folder.
        write: Writes the content to a given local path.
    """
    local = local_path(uri)
    if local is None:
        with TemporaryDirectory() as staging:
            source = os.path.join(staging, "content")
            write(source)
            filesystem, target = filesystem_of(uri)
            if filesystem.exists(target):
                filesystem.rm(target, recursive=True)
            # With the slashes, the content of one folder goes into the other, and not the folder,
            # though the listing that s3fs has kept may still have the one that was removed.
            filesystem.put(f"{source}/", f"{target.rstrip('/')}/", recursive=True)
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
