"""Chooses the files that a query needs, by the columns that their folders make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.tfrecord.source.files import folder_fields, folder_names
from tensorsparkml.tfrecord.source.options import Options

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession
    from pyspark.sql.types import StructType


def files_where(
    spark: SparkSession,
    files: Sequence[FoundFile],
    options: Options,
    schema: StructType | None,
    condition: str | Column,
) -> list[FoundFile]:
    """Return the files whose folders fulfil a condition.

    Args:
        spark: Evaluates it.
        files: All files.
        options: What the user asks for.
        schema: The types of columns; None takes those of the values.
        condition: The condition, on columns that the folders make.

    Raises:
        ConfigurationError: The folders make no columns.
        DataError: No file is left.
    """
    paths = ", ".join(options.paths)
    names = folder_names(files, options)
    if not names:
        raise ConfigurationError(
            f"the folders of {paths} make no columns, such as day=1/, to which a condition could "
            "apply; filter the DataFrame instead"
        )
    types = {field.name: field.dataType for field in folder_fields(files, options)}
    types |= {field.name: field.dataType for field in schema or () if field.name in types}
    keys = [tuple(file.partition[name] for name in names) for file in files]
    rows = [(number, *key) for number, key in enumerate(dict.fromkeys(keys))]
    texts = ", ".join(f"c{place} string" for place in range(len(names)))
    columns = [
        f"CAST(c{place} AS {types[name].simpleString()}) AS `{name.replace('`', '``')}`"
        for place, name in enumerate(names)
    ]
    known = spark.createDataFrame(rows, f"key int, {texts}").selectExpr("key AS `/`", *columns)
    chosen = {rows[row[0]][1:] for row in known.where(condition).select("`/`").collect()}
    found = [file for file, key in zip(files, keys, strict=True) if key in chosen]
    if not found:
        raise DataError(
            f"no folder of {paths} fulfils the condition; its columns are {listed(names)}"
        )
    return found
