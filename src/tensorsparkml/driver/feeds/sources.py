"""Sources of rows that Spark tasks can send to the nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tensorsparkml.checks import named, paths
from tensorsparkml.control.protocol.names import feed_name
from tensorsparkml.driver.spark.columns import check_names, map_in_arrow, select_columns
from tensorsparkml.driver.spark.jobs import Action, collect_dataframe, collect_rdd
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import RDD, SparkContext
    from pyspark.sql import DataFrame

# Sends a partition's record batches; runs in a Spark task.
Send = Callable[[Iterator["pa.RecordBatch"]], None]

_SCHEMA = "nothing int"


class RowSource(Protocol):
    """Rows that tasks of one Spark action can send."""

    @property
    def context(self) -> SparkContext:
        """Spark's context."""

    def feeding(self, send: Send) -> Action:
        """Return the action in which a task for each partition sends the rows of it."""


class DataFrameRows:
    """The rows of a DataFrame, which Spark itself turns into Arrow.

    Args:
        data: The DataFrame.
        columns: Names of the columns to send, or None for all. They are looked up when the rows are
            sent.
    """

    def __init__(self, data: DataFrame, columns: Sequence[str] | None = None) -> None:
        self._data = data
        self._columns = columns

    @property
    def context(self) -> SparkContext:
        """Spark's context."""
        return self._data.sparkSession.sparkContext

    def feeding(self, send: Send) -> Action:
        """Return the action in which a task for each partition sends the rows of it."""

        def task(batches: Iterator[Any]) -> Iterator[Any]:
            send(batches)
            yield from ()

        selected = select_columns(self._data, self._columns)
        return collect_dataframe(map_in_arrow(selected, task, _SCHEMA))


class RddRows:
    """The elements of an RDD, which its tasks turn into Arrow.

    Args:
        rdd: The RDD.
        columns: Names of the columns; see `tensorsparkml.data.columns.from_python`.
    """

    def __init__(self, rdd: RDD[Any], columns: Sequence[str] | None = None) -> None:
        self._rdd = rdd
        self._columns = columns

    @property
    def context(self) -> SparkContext:
        """Spark's context."""
        return self._rdd.context

    def feeding(self, send: Send) -> Action:
        """Return the action in which a task for each partition sends the rows of it."""
        columns = self._columns

        def task(partition: int, rows: Iterable[Any]) -> Iterator[Any]:
            from tensorsparkml.data.columns.from_python import record_batches

            send(record_batches(rows, partition, columns))
            yield from ()

        return collect_rdd(self._rdd.mapPartitionsWithIndex(task))


def row_source(data: Any, columns: Sequence[str] | None = None) -> RowSource:
    """Return the rows of a DataFrame or an RDD.

    Raises:
        MissingColumnError: The DataFrame lacks a column.
        UnsupportedColumnError: Several columns have the same name.
    """
    from pyspark import RDD

    if isinstance(data, RDD):
        return RddRows(data, columns)
    select_columns(data, columns)
    return DataFrameRows(data, columns)


def spark_rows(name: str, value: Any) -> Any:
    """Check for a DataFrame that is not a stream, or an RDD; see `checks`."""
    from pyspark import RDD
    from pyspark.sql import DataFrame

    if isinstance(value, DataFrame) and value.isStreaming:
        raise ConfigurationError(
            f"{name} is a streaming DataFrame, which has no end; use cluster.train_stream(df)"
        )
    if not isinstance(value, DataFrame | RDD):
        raise ConfigurationError(
            f"{name} must be a Spark DataFrame or an RDD, not {_kind(value)}; convert it with "
            "spark.createDataFrame(...) or spark.sparkContext.parallelize(...)"
        )
    return value


def feed_rows(name: str, value: Any) -> Any:
    """Check for a DataFrame, an RDD, or URIs of files; see `checks`."""
    return paths(name, value) if _names_files(value) else spark_rows(name, value)


def named_feeds(name: str, value: Any) -> dict[str, Any]:
    """Check for a dict of feeds: names with DataFrames, RDDs or URIs; see `checks`."""
    feeds: dict[str, Any] = named(feed_rows)(name, value)
    for feed in feeds:
        feed_name(f"a name in {name}", feed)
    return feeds


def direct_rows(name: str, value: Any) -> Any:
    """Check for rows that the tasks that start the nodes can deliver; see `checks`."""
    from pyspark.sql import DataFrame

    if _names_files(value):
        return paths(name, value)
    if isinstance(value, DataFrame) and not value.isStreaming:
        check_names(value)
        return value
    raise ConfigurationError(
        f"{name} must be a DataFrame or URIs of Parquet files, not {_kind(value)}; feed it inside "
        "a with tsm.Cluster(...) block, with cluster.train(rdd) or cluster.train_stream(df), or "
        "convert an RDD to a DataFrame with spark.createDataFrame(rdd)"
    )


def is_direct(data: Any, seed: int | None) -> bool:
    """Whether the rows need no jobs, because the tasks that start the nodes can deliver them.

    Spark first spreads the rows over these tasks, so their order differs each time, and there can
    be no seed.
    """
    from pyspark.sql import DataFrame

    return data is None or _names_files(data) or (isinstance(data, DataFrame) and seed is None)


def check_direct(data: Any, seed: int | None) -> None:
    """Raise ConfigurationError for direct rows with a seed, which they cannot have."""
    if not is_direct(data, seed):
        raise ConfigurationError(
            "seed=… does not work with direct=df, because Spark delivers these rows in a different "
            "order in each run; use cluster.train(df, shuffle=True, seed=…) inside a with "
            "tsm.Cluster(...) block, or tsm.run(data=df)"
        )


def _names_files(data: Any) -> bool:
    return isinstance(data, str | os.PathLike | list | tuple)


def _kind(data: Any) -> str:
    streaming = "streaming " if getattr(data, "isStreaming", False) else ""
    package = type(data).__module__.partition(".")[0]
    # There are DataFrames of pandas and of polars as well.
    whose = "" if package in ("pyspark", "builtins") else f"{package} "
    return f"a {streaming}{whose}{type(data).__name__}"
