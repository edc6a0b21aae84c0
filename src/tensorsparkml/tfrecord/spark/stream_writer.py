"""Writes the batches of a stream, each of them once."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.tfrecord.source.commit import StreamJob
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.spark.writer import FileWriter, TaskMessage, files_of_tasks

_QUERY = "sql.streaming.queryId"  # a property of all tasks of a query


class TFRecordStreamWriter(DataSourceStreamArrowWriter):
    """Writes the rows of batches.

    Args:
        schema: The columns.
        options: What the user asks for.
        overwrite: Whether each batch replaces the earlier ones.

    Raises:
        ConfigurationError: It does.
    """

    def __init__(self, schema: StructType, options: Options, overwrite: bool) -> None:
        if overwrite:
            raise ConfigurationError(
                "a stream of TFRecords has the outputMode append; for complete, write each batch "
                "with foreachBatch and the mode overwrite"
            )
        self._writer = FileWriter(schema, options)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> TaskMessage:
        """Write the rows of a task."""
        from pyspark import TaskContext

        context = TaskContext.get()
        query = None if context is None else context.getLocalProperty(_QUERY)
        assert query is not None
        job = StreamJob(self._writer.uri, query)
        return TaskMessage(self._writer.write(iterator, job.staging), query)

    def commit(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:
        """Make visible what the tasks of a batch have written."""
        for query in {each.query for each in messages if isinstance(each, TaskMessage)}:
            StreamJob(self._writer.uri, query).commit(files_of_tasks(messages), batchId)

    def abort(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:
        """Leave the files of a batch where nobody sees them; the next commit removes them."""
