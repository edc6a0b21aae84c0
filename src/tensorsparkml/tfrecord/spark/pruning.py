"""Chooses the files that a query needs, by the columns that their folders make."""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import dirname
from typing import TYPE_CHECKING

from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.storage import filesystem_of
from tensorsparkml.tfrecord.source.files import files_of, folder_fields, folder_names
from tensorsparkml.tfrecord.source.options import Options

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession
    from pyspark.sql.types import StructType


def folders_where(
    spark: SparkSession, options: Options, schema: StructType | None, condition: str | Column
) -> list[str]:
    """Return the folders whose rows may fulfil a condition.

    Args:
        spark: Evaluates it.
        options: What is read.
        schema: The columns, or None for those that the folders make.
        condition: The condition, on columns that the folders make.

    Raises:
        ConfigurationError: The folders make no columns, or there are several paths.
        DataError: No folder is left.
    """
    base = options.basePath or options.paths[0]
    if len(options.paths) > 1 and not options.basePath:
        raise ConfigurationError("with several paths, a condition on folders needs a basePath")
    files = files_of(options)
    names = folder_names(files, options)
    if not names:
        raise ConfigurationError(
            f"the folders of {', '.join(options.paths)} make no columns, such as day=1/, to which "
            "a condition could apply; filter the DataFrame instead"
        )
    fields = {field.name: field for field in folder_fields(files, options)}
    if schema is not None:
        fields |= {field.name: field for field in schema if field.name in fields}
    folders = _folders(files, base)
    rows = [(folder, *(file.partition[name] for name in names)) for folder, file in folders.items()]
    columns = [
        f"CAST(`c{place}` AS {fields[name].dataType.simpleString()}) AS `{name}`"
        for place, name in enumerate(names)
    ]
    texts = ", ".join(f"c{place} string" for place in range(len(names)))
    known = spark.createDataFrame(rows, f"folder string, {texts}")
    chosen = known.selectExpr("folder AS `_folder`", *columns).where(condition)
    found = sorted(row[0] for row in chosen.collect())
    if not found:
        raise DataError(
            f"no folder of {', '.join(options.paths)} fulfils the condition; its columns are "
            f"{listed(names)}"
        )
    return found


def _folders(files: Sequence[FoundFile], base: str) -> dict[str, FoundFile]:
    """Return the folders of files as URIs, each with one of its files."""
    _, root = filesystem_of(base)
    inside = root.strip("/") + "/"
    return {
        f"{base.rstrip('/')}/{dirname(file.path.lstrip('/').removeprefix(inside))}": file
        for file in files
    }
