"""The files that a source reads, and the columns that their folders make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from posixpath import basename
from typing import TYPE_CHECKING

import pyarrow as pa

from tensorsparkml.data.files.compression import Compression, is_compressed_name
from tensorsparkml.data.files.listing import (
    FoundFile,
    find_files,
    partition_names,
    partition_of,
    without_braces,
)
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.storage import filesystem_of
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.source.partitions import inferred_type, value_of
from tensorsparkml.tfrecord.source.reading import Part
from tensorsparkml.tfrecord.source.splits import divide

if TYPE_CHECKING:
    from pyspark.sql.types import StructField


def files_of(options: Options, *, least: int = 1) -> list[FoundFile]:
    """Return the files, in the order of their paths.

    Args:
        options: What the user asks for.
        least: Number of files that there must be.

    Raises:
        DataError: There are fewer, or they cannot be listed.
    """
    found = find_files(options.paths, least=least)
    if options.basePath:
        found = [_below(options.basePath, file) for file in found]
    if options.pathGlobFilter:
        patterns = without_braces(options.pathGlobFilter)
        found = [
            file
            for file in found
            if any(fnmatchcase(basename(file.path), pattern) for pattern in patterns)
        ]
        if len(found) < least:
            raise DataError(
                f"no file at {', '.join(options.paths)} has a name that matches "
                f"{options.pathGlobFilter!r}"
            )
    return found


def _below(base: str, file: FoundFile) -> FoundFile:
    """Return a file with the columns of all folders from a base on."""
    _, root = filesystem_of(base)
    path, root = file.path.lstrip("/"), root.strip("/") + "/"
    if not path.startswith(root):
        raise ConfigurationError(f"{file.path} is not below the basePath {base}")
    return replace(file, partition=partition_of(path.removeprefix(root)))


def folder_names(files: Sequence[FoundFile], options: Options) -> list[str]:
    """Return the columns that folders make.

    Raises:
        DataError: Not all files lie below the same columns.
    """
    return [] if options.recursiveFileLookup else partition_names(files)


def folder_fields(files: Sequence[FoundFile], options: Options) -> list[StructField]:
    """Return the columns that folders make, with the types that their values have."""
    from pyspark.sql.types import StructField

    return [
        StructField(name, inferred_type([file.partition[name] for file in files]))
        for name in folder_names(files, options)
    ]


def folder_values(
    file: FoundFile, schema: pa.Schema, names: frozenset[str], options: Options
) -> dict[str, pa.Scalar]:
    """Return what the folders above a file say of some columns.

    Raises:
        ConfigurationError: A value is none of the column's type.
    """
    found = {}
    for name in names:
        try:
            found[name] = value_of(file.partition[name], schema.field(name).type, options.timeZone)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the folders of {file.path} name the column {name!r}: {error}; change its type "
                "in the schema"
            ) from error
    return found


def parts_of(
    files: Sequence[FoundFile],
    values: Sequence[Mapping[str, pa.Scalar]],
    options: Options,
) -> list[list[Part]]:
    """Return what each task reads."""
    splittable = [options.splitFiles and _may_split(file, options) for file in files]
    tasks = divide(
        [file.size for file in files], splittable, options.maxPartitionBytes, options.minPartitions
    )
    return [
        [Part(files[split.file], split, values[split.file]) for split in task] for task in tasks
    ]


def _may_split(file: FoundFile, options: Options) -> bool:
    """Return whether a file may be uncompressed: a task that begins within it looks at it."""
    if options.compression is not None:
        return options.compression is Compression.NONE
    return not is_compressed_name(file.path)
