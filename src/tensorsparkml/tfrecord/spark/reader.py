"""Reads a table, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.driver.spark.private_api import arrow_schema
from tensorsparkml.tfrecord.source.files import files_of, folder_names, folder_values, parts_of
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.source.reading import Part
from tensorsparkml.tfrecord.source.rows import RowReader


@dataclass
class PartsOfTask(InputPartition):
    """What a task reads.

    Attributes:
        parts: The parts of files.
        folders: Names of the columns that folders make.
    """

    parts: Sequence[Part]
    folders: frozenset[str]


class FileReader:
    """Reads files as rows of a schema.

    Args:
        schema: The columns.
        options: What the user asks for.
    """

    def __init__(self, schema: StructType, options: Options) -> None:
        self._schema = arrow_schema(schema)
        self._options = options

    def tasks(self, files: Sequence[FoundFile]) -> list[InputPartition]:
        """Return what tasks read, after a check of the columns' types.

        Raises:
            ConfigurationError: The schema fits neither the files nor the options.
        """
        schema, options = self._schema, self._options
        names = folder_names(files, options) if files else []
        folders = frozenset(names) & frozenset(schema.names)
        RowReader(schema, folders, options)
        values = [folder_values(each, schema, folders, options) for each in files]
        return [PartsOfTask(parts, folders) for parts in parts_of(files, values, options)]

    def rows(self, task: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read the rows of a task."""
        assert isinstance(task, PartsOfTask)
        reader = RowReader(self._schema, task.folders, self._options)
        for part in task.parts:
            yield from reader.read(part)


class TFRecordReader(DataSourceReader):
    """Reads all files.

    It takes no filters: Spark 4.1 to 4.3 keeps what a reader says to the filters of one query for
    all later queries of the same DataFrame, the ones without filters included.

    Args:
        schema: The columns.
        options: What the user asks for.
    """

    def __init__(self, schema: StructType, options: Options) -> None:
        self._reader = FileReader(schema, options)
        self._tasks = self._reader.tasks(files_of(options))

    def partitions(self) -> list[InputPartition]:
        """Return what the tasks read."""
        return self._tasks

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read the rows of a task."""
        return self._reader.rows(partition)
