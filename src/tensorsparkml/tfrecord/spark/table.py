"""Reads files through `mapInArrow`, without the processes that Spark starts for a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.datasource import InputPartition
from pyspark.sql.types import StructType

from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import MissingColumnError
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.spark.reader import FileReader

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def table_of(
    spark: SparkSession, files: Sequence[FoundFile], options: Options, schema: StructType
) -> DataFrame:
    """Return the rows of files."""
    reader = FileReader(schema, options)
    tasks = reader.tasks(files)
    return _numbers(spark, tasks).mapInArrow(partial(_rows, reader, tasks), schema)


def count_of(spark: SparkSession, files: Sequence[FoundFile], options: Options) -> int:
    """Return the number of records of files, none of which is decoded."""
    reader = FileReader(StructType([]), options)
    tasks = reader.tasks(files)
    counted = _numbers(spark, tasks).mapInArrow(partial(_count, reader, tasks), "count long")
    return sum(row[0] for row in counted.collect())


def chosen_columns(schema: StructType, columns: Sequence[str], uri: str) -> StructType:
    """Return some columns of a schema.

    Raises:
        MissingColumnError: There is no such column.
    """
    for name in columns:
        if name not in schema.names:
            raise MissingColumnError(f"{uri} has no column {name!r}; it has {listed(schema.names)}")
    return StructType([schema[name] for name in columns])


def _numbers(spark: SparkSession, tasks: Sequence[InputPartition]) -> DataFrame:
    return spark.range(0, len(tasks), 1, len(tasks))


def _rows(
    reader: FileReader, tasks: Sequence[InputPartition], numbers: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in numbers:
        for number in batch.column(0).to_pylist():
            yield from reader.rows(tasks[number])


def _count(
    reader: FileReader, tasks: Sequence[InputPartition], numbers: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    count = sum(batch.num_rows for batch in _rows(reader, tasks, numbers))
    yield pa.RecordBatch.from_pydict({"count": pa.array([count], pa.int64())})
