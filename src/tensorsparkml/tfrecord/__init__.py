"""TFRecord files as DataFrames, without TensorFlow and without a jar."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from tensorsparkml.checks import (
    checked,
    choice,
    instance_of,
    name_or_names,
    optional,
    path,
    some_names,
    text_or,
)
from tensorsparkml.driver.spark.private_api import default_filesystem
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.storage import absolute_path, filesystem_of, translated_errors

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from tensorsparkml.tfrecord.source.options import Options

__all__ = ["count", "read", "register", "write"]

_SESSION = instance_of(("pyspark",), "a SparkSession")


@checked(spark=_SESSION)
def register(spark: SparkSession) -> None:
    """Make `tfrecord` a format of a session, for `spark.read` and `df.write`.

    Args:
        spark: The session.
    """
    from tensorsparkml.tfrecord.spark.data_source import TFRecordDataSource

    class Registered(TFRecordDataSource):
        """With what the session knows, and the processes beside it do not."""

        default_fs: ClassVar[str] = default_filesystem(spark)
        working_dir: ClassVar[str] = os.getcwd()
        defaults: ClassVar[Mapping[str, str]] = _defaults(spark)

    spark.dataSource.register(Registered)


def _defaults(spark: SparkSession) -> dict[str, str]:
    return {
        "minPartitions": str(spark.sparkContext.defaultParallelism),
        "maxPartitionBytes": spark.conf.get("spark.sql.files.maxPartitionBytes") or "128m",
        "timeZone": spark.conf.get("spark.sql.session.timeZone") or "UTC",
    }


@checked(
    spark=_SESSION,
    uri=path,
    schema=optional(text_or(instance_of(("pyspark",), "a StructType or DDL"))),
    columns=optional(some_names),
    where=optional(text_or(instance_of(("pyspark",), "a condition, as text or as a Column"))),
)
def read(
    spark: SparkSession,
    uri: str,
    *,
    schema: StructType | str | None = None,
    columns: Sequence[str] | None = None,
    where: str | Column | None = None,
    **options: Any,
) -> DataFrame:
    """Read TFRecord files, of which only some columns and some folders may be needed.

    It gives the rows that `spark.read.format("tfrecord")` gives. It starts faster, and can leave
    out columns and folders: Spark tells its sources in Python neither the columns nor the filters
    of a query.

    Args:
        spark: The session.
        uri: A file, a folder, or a glob.
        schema: The columns; None infers them.
        columns: The columns to read of these; None reads all.
        where: A condition on columns that folders make, such as `"day >= '2026-11-01'"`. Folders
            that do not fulfil it are not read.
        options: Options of the format, such as `mode="DROPMALFORMED"`.

    Returns:
        The rows.

    Raises:
        ConfigurationError: An argument or an option is wrong.
        MissingColumnError: There is no such column.
        UnsupportedColumnError: No feature has values of a column's type.
        DataError: There are no files, no folder fulfils the condition, or no schema can be
            inferred.
    """
    from pyspark.sql.types import StructType

    from tensorsparkml.tfrecord.source.files import files_of
    from tensorsparkml.tfrecord.spark.data_source import schema_of
    from tensorsparkml.tfrecord.spark.pruning import files_where
    from tensorsparkml.tfrecord.spark.table import chosen_columns, table_of

    found = _options(spark, uri, options)
    if isinstance(schema, str):
        schema = cast("StructType", StructType.fromDDL(schema))
    files = files_of(found)
    if where is not None:
        files = files_where(spark, files, found, schema, where)
    if schema is None:
        schema = schema_of(files, found)
    if columns is not None:
        schema = chosen_columns(schema, columns, uri)
    return table_of(spark, files, found, schema)


def _options(spark: SparkSession, uri: str, options: Mapping[str, Any]) -> Options:
    from tensorsparkml.tfrecord.source.options import parse_options

    given = {name: _text(value) for name, value in options.items()}
    return parse_options({**given, "path": _absolute(spark, uri)}, _defaults(spark))


def _text(value: Any) -> str:
    """Return the value of an option, as Spark writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _absolute(spark: SparkSession, uri: str) -> str:
    return absolute_path(uri, default_filesystem(spark), os.getcwd())


@checked(
    df=instance_of(("pyspark",), "a DataFrame"),
    uri=path,
    mode=choice("error", "append", "overwrite", "ignore"),
    partition_by=name_or_names,
)
def write(
    df: DataFrame,
    uri: str,
    *,
    mode: str = "error",
    partition_by: str | Sequence[str] = (),
    **options: Any,
) -> None:
    """Write a DataFrame as TFRecord files.

    It does what `df.write.format("tfrecord")` does, whose modes `error` and `ignore`, and
    `partitionBy`, Spark refuses for sources in Python. Vectors of Spark ML are written as arrays.

    Args:
        df: The rows.
        uri: The folder.
        mode: What happens if something is there: `error`, `append`, `overwrite` or `ignore`.
        partition_by: Columns whose values name the folders of the files.
        options: Options of the format, such as `compression="gzip"`.

    Raises:
        ConfigurationError: Something is there, and the mode is `error`.
        TensorSparkMLError: The rows cannot be written.
    """
    from tensorsparkml.tfrecord.spark.table import write_table

    if partition_by:
        options["partitionBy"] = ",".join(partition_by)
    found = _options(df.sparkSession, uri, options)
    [target] = found.paths
    if mode in ("error", "ignore"):
        filesystem, place = filesystem_of(target)
        with translated_errors(f"look for {target}"):
            there = filesystem.exists(place)
        if there and mode == "error":
            raise ConfigurationError(
                f"{target} is there already; set mode to 'append' or 'overwrite'"
            )
        if there:
            return
    write_table(_without_vectors(df), found, overwrite=mode == "overwrite")


def _without_vectors(df: DataFrame) -> DataFrame:
    """Return a DataFrame with arrays in place of Spark ML's vectors."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.ml.linalg import VectorUDT

    vectors = [field.name for field in df.schema if isinstance(field.dataType, VectorUDT)]
    if not vectors:
        return df
    return df.withColumns({name: vector_to_array(df[name], "float32") for name in vectors})


@checked(spark=_SESSION, uri=path)
def count(spark: SparkSession, uri: str, **options: Any) -> int:
    """Return the number of records of TFRecord files, none of which is decoded.

    Args:
        spark: The session.
        uri: A file, a folder, or a glob.
        options: Options of the format, such as `mode="DROPMALFORMED"`.
    """
    from tensorsparkml.tfrecord.source.files import files_of
    from tensorsparkml.tfrecord.spark.table import count_of

    found = _options(spark, uri, options)
    return count_of(spark, files_of(found), found)
