"""The files behind a URI: a file, a folder, a glob, or several of them, on any filesystem."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tensorsparkml.errors import DataError
from tensorsparkml.storage import filesystem_of, translated_errors

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

_GLOB = re.compile(r"[*?\[]")
_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")  # the innermost ones
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class FoundFile:
    """A file to be read.

    Attributes:
        filesystem: The filesystem, as fsspec knows it.
        path: The file's path there.
        size: Its size in bytes.
        partition: What the names of the folders above it say, such as `{"year": "2024"}` for
            `year=2024/`; None as a value stands for null.
    """

    filesystem: AbstractFileSystem
    path: str
    size: int
    partition: Mapping[str, str | None] = field(default_factory=dict)


def find_files(uris: Sequence[str], filesystem: Any = None, *, least: int = 1) -> list[FoundFile]:
    """Return the files behind URIs, sorted by path within each URI.

    In folders, names that begin with `_` or `.` are left out, as Spark and Hive do.

    Args:
        uris: Files, folders, or globs, which may have alternatives such as `day={1,2}`.
        filesystem: A filesystem of fsspec or of pyarrow on which they are paths, or None for the
            one that each URI names.
        least: Number of files that there must be behind each URI.

    Raises:
        MissingPackageError: The package that opens such URIs is not installed.
        ConfigurationError: No filesystem is known for a URI.
        DataError: Fewer files are there, or the filesystem does not answer or refuses to.
    """
    found = []
    for uri in uris:
        opened, path = filesystem_of(uri, filesystem)
        with translated_errors(f"list {uri}"):
            opened.invalidate_cache()  # others may have written since it was last listed
            files = _files_below(opened, path)
        if len(files) < least:
            raise DataError(
                f"there are no files at {uri}; names that begin with '_' or '.' are ignored"
            )
        found += files
    return found


def partition_names(files: Sequence[FoundFile]) -> list[str]:
    """Return the columns that the folders' names make.

    Raises:
        DataError: Not all files lie below the same columns.
    """
    names = list(files[0].partition)
    for file in files:
        if list(file.partition) != names:
            raise DataError(
                f"the folders of {files[0].path} give {_keys(names)}, but those of {file.path} "
                f"give {_keys(list(file.partition))}; all files must have the same"
            )
    return names


def partition_types(files: Sequence[FoundFile]) -> dict[str, type]:
    """Return the columns that the folders' names make, each `int` or `str`.

    Raises:
        DataError: Not all files lie below the same columns.
    """
    names = partition_names(files)
    columns = {name: [file.partition[name] for file in files] for name in names}
    return {
        name: int if all(v is None or _INTEGER.fullmatch(v) for v in values) else str
        for name, values in columns.items()
    }


def _keys(names: list[str]) -> str:
    return "/".join(f"{name}=…" for name in names) or "nothing"


def _files_below(filesystem: AbstractFileSystem, path: str) -> list[FoundFile]:
    try:
        details = filesystem.info(path)  # `isfile` takes every error for a no
    except FileNotFoundError:
        details = {"type": None}
    if details["type"] == "file":
        return [FoundFile(filesystem, path, int(details["size"]))]
    if details["type"] == "directory":
        return _files_in(filesystem, path)
    patterns = without_braces(path)
    if len(patterns) == 1 and not _GLOB.search(path):
        return []
    found = []
    for match in sorted({match for each in patterns for match in filesystem.glob(each)}):
        if not _is_hidden(posixpath.basename(match)):
            found += _files_below(filesystem, match)
    return found


def without_braces(pattern: str) -> list[str]:
    """Return the patterns that one with alternatives stands for: `{a,b}c` for `ac` and `bc`."""
    found = _ALTERNATIVES.search(pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [each for one in found[1].split(",") for each in without_braces(before + one + after)]


def _files_in(filesystem: AbstractFileSystem, folder: str) -> list[FoundFile]:
    root = folder.strip("/") + "/"
    found = []
    for path, details in sorted(filesystem.find(folder, detail=True).items()):
        relative = path.lstrip("/").removeprefix(root)
        if not any(_is_hidden(name) for name in relative.split("/")):
            found.append(FoundFile(filesystem, path, int(details["size"]), partition_of(relative)))
    return found


def partition_of(relative: str) -> dict[str, str | None]:
    """Return what the folders of a path say, such as `{"year": "2024"}` for `year=2024/file`."""
    return dict(_key_value(name) for name in relative.split("/")[:-1] if "=" in name)


def _is_hidden(name: str) -> bool:
    # A partition column may have such a name: `_id=7`.
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _key_value(name: str) -> tuple[str, str | None]:
    key, _, value = name.partition("=")
    return unquote(key), None if value == NO_VALUE else unquote(value)
