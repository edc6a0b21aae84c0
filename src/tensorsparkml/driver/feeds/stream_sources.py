"""Streams of Spark: sources of micro-batches, one after the other, until they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tensorsparkml.driver.feeds.sources import DataFrameRows, RddRows, RowSource
from tensorsparkml.driver.spark.columns import select_columns
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark import RDD
    from pyspark.sql import DataFrame
    from pyspark.sql.streaming.query import StreamingQuery
    from pyspark.sql.streaming.readwriter import DataStreamWriter
    from pyspark.streaming import DStream

# Gets the rows of a micro-batch and its name, in Spark's thread, and returns when they are fed.
Take = Callable[[RowSource, str], None]


class StreamSource(Protocol):
    """A stream of Spark.

    Attributes:
        query: Spark's streaming query, once it is started; None for a DStream.
        drains: Whether `stop` first hands over everything that Spark has received.
    """

    query: StreamingQuery | None
    drains: bool

    def start(self, take: Take) -> None:
        """Begin; `take` gets every micro-batch, one at a time."""

    def ended(self, seconds: float) -> bool:
        """Wait at most that many seconds for the end; return whether the stream has ended.

        Raises:
            Exception: Spark's, if an error ended the stream.
        """

    def idle(self) -> bool:
        """Whether no micro-batch is being worked on."""

    def stop(self) -> None:
        """End the stream."""


class QueryStream:
    """A streaming query.

    Args:
        writer: Starts the query.
        columns: Names of the columns to send, or None for all.
    """

    query: StreamingQuery | None = None
    drains = False

    def __init__(self, writer: DataStreamWriter, columns: Sequence[str] | None) -> None:
        self._writer = writer
        self._columns = columns

    def start(self, take: Take) -> None:
        """Start the query."""
        columns = self._columns

        def take_batch(data: DataFrame, batch_id: int) -> None:
            take(DataFrameRows(data, columns), str(batch_id))

        self.query = self._writer.foreachBatch(take_batch).start()

    def ended(self, seconds: float) -> bool:
        """Wait at most that many seconds for the end; return whether the query has ended."""
        query: Any = self.query  # whose annotations do not allow fractions
        return bool(query.awaitTermination(seconds))

    def idle(self) -> bool:
        """Whether no micro-batch is being worked on."""
        assert self.query is not None
        return not self.query.status["isTriggerActive"]

    def stop(self) -> None:
        """Stop the query."""
        if self.query is not None:
            self.query.stop()


class DStreamSource:
    """A DStream, whose context the user starts.

    Args:
        stream: The stream.
        columns: Names of the columns; see `tensorsparkml.data.columns.from_python`.
    """

    query: StreamingQuery | None = None
    drains = True

    def __init__(self, stream: DStream[Any], columns: Sequence[str] | None) -> None:
        self._stream = stream
        self._columns = columns

    def start(self, take: Take) -> None:
        """Register for every RDD of the stream."""
        columns = self._columns

        def take_rdd(time: datetime, rdd: RDD[Any]) -> None:
            if rdd.getNumPartitions():  # without, nothing has come
                take(RddRows(rdd, columns), time.isoformat())

        self._stream.foreachRDD(take_rdd)

    def ended(self, seconds: float) -> bool:
        """Wait at most that many seconds for the end of the context; return whether it came."""
        context: Any = self._stream.context()  # whose annotations do not allow fractions
        return bool(context.awaitTerminationOrTimeout(seconds))

    def idle(self) -> bool:
        """Whether the context can be stopped: it waits for its jobs itself."""
        return True

    def stop(self) -> None:
        """Stop the streaming context, after the micro-batches that it has received."""
        self._stream.context().stop(stopSparkContext=False, stopGraceFully=True)


def stream_source(data: Any, columns: Sequence[str] | None) -> StreamSource:
    """Return the stream of a streaming DataFrame, of its writer, or of a DStream.

    Raises:
        MissingColumnError: The DataFrame lacks a column.
        UnsupportedColumnError: Several columns have the same name.
    """
    from pyspark.sql import DataFrame
    from pyspark.streaming import DStream

    if isinstance(data, DStream):
        return DStreamSource(data, columns)
    if isinstance(data, DataFrame):
        select_columns(data, columns)
        return QueryStream(data.writeStream, columns)
    return QueryStream(data, columns)


def stream(name: str, value: Any) -> Any:
    """Check for a streaming DataFrame, its writer or a DStream; see `checks`."""
    from pyspark.sql import DataFrame
    from pyspark.sql.streaming.readwriter import DataStreamWriter
    from pyspark.streaming import DStream

    streams = isinstance(value, DataFrame) and value.isStreaming
    if not streams and not isinstance(value, DataStreamWriter | DStream):
        raise ConfigurationError(
            f"{name} must be a streaming DataFrame (from spark.readStream), its writer "
            f"df.writeStream, or a DStream, not a {type(value).__name__}; feed a DataFrame or an "
            "RDD with cluster.train"
        )
    return value
