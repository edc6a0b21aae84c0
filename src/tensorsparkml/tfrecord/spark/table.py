"""Reads and writes files by `mapInArrow`, without the processes that Spark starts for a source."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.datasource import InputPartition
from pyspark.sql.types import StructType

from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import MissingColumnError
from tensorsparkml.tfrecord.source.commit import Job, WrittenFile
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.spark.reader import FileReader
from tensorsparkml.tfrecord.spark.writer import FileWriter

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


def write_table(df: DataFrame, options: Options, *, overwrite: bool) -> None:
    """Write rows, all of them or none."""
    writer = FileWriter(df.schema, options)
    job = Job(writer.uri, overwrite=overwrite, dynamic=options.replaces_partitions)
    tasks = df.mapInArrow(partial(_write, writer, job.staging), "staged string, name string")
    session, tag = df.sparkSession, f"write TFRecords {uuid.uuid4().hex}"
    session.addTag(tag)
    try:
        job.commit([WrittenFile(row.staged, row.name) for row in tasks.collect()])
    except BaseException:  # such as a KeyboardInterrupt, after which tasks would go on writing
        session.interruptTag(tag)
        job.abort()
        raise
    finally:
        session.removeTag(tag)


def _write(
    writer: FileWriter, staging: str, rows: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    files = writer.write(rows, staging)
    staged, names = [file.staged for file in files], [file.name for file in files]
    yield pa.RecordBatch.from_pydict(
        {"staged": pa.array(staged, pa.string()), "name": pa.array(names, pa.string())}
    )


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
