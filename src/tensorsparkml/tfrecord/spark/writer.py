"""Writes a table, all of it or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from tensorsparkml.driver.spark.private_api import arrow_schema
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.tfrecord.source.commit import Job, WrittenFile
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.source.writing import TaskWriter


@dataclass
class TaskMessage(WriterCommitMessage):
    """What a task has written.

    Attributes:
        files: The files.
        query: The query, if the task is one of a stream.
    """

    files: Sequence[WrittenFile]
    query: str = ""


class FileWriter:
    """Writes the rows of tasks into files.

    Args:
        schema: The columns.
        options: What the user asks for.

    Raises:
        ConfigurationError: The schema does not fit the options.
    """

    def __init__(self, schema: StructType, options: Options) -> None:
        self._schema = arrow_schema(schema)
        self._options = options
        if len(options.paths) > 1:
            raise ConfigurationError(
                f"rows are written to one folder, not to {', '.join(options.paths)}"
            )
        TaskWriter(self._schema, options, "", 0, "")  # checks the types of the columns

    @property
    def uri(self) -> str:
        """The folder."""
        return self._options.paths[0]

    def write(self, rows: Iterator[pa.RecordBatch], staging: str) -> list[WrittenFile]:
        """Write the rows of the task that calls it, and return the files."""
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        attempt = uuid.uuid4().hex
        task = TaskWriter(self._schema, self._options, staging, context.partitionId(), attempt)
        return task.write(rows)


def files_of_tasks(messages: Sequence[WriterCommitMessage | None]) -> list[WrittenFile]:
    """Return what all tasks have written."""
    return [file for each in messages if isinstance(each, TaskMessage) for file in each.files]


class TFRecordWriter(DataSourceArrowWriter):
    """Writes the rows of a DataFrame.

    Args:
        schema: The columns.
        options: What the user asks for.
        overwrite: Whether the files that are there are removed.
    """

    def __init__(self, schema: StructType, options: Options, overwrite: bool) -> None:
        self._writer = FileWriter(schema, options)
        self._job = Job(self._writer.uri, overwrite=overwrite, dynamic=options.replaces_partitions)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> TaskMessage:
        """Write the rows of a task."""
        return TaskMessage(self._writer.write(iterator, self._job.staging))

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Make visible what the tasks have written."""
        self._job.commit(files_of_tasks(messages))

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Remove what the tasks have written."""
        self._job.abort()
