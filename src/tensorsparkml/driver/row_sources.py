"""Where the rows of a feed come from: what Spark tasks can send to the nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tensorsparkml.driver.spark_columns import check_names, map_in_arrow, select_columns
from tensorsparkml.driver.spark_job import Action, collect_dataframe, collect_rdd
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
        columns: Names of the columns that are sent, or None for all; they are looked up when the
            rows are.
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
        columns: Names of the columns; see `tensorsparkml.data.records`.
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
            from tensorsparkml.data.records import record_batches

            send(record_batches(rows, partition, columns))
            yield from ()

        return collect_rdd(self._rdd.mapPartitionsWithIndex(task))


def row_source(data: Any, columns: Sequence[str] | None = None) -> RowSource:
    """Return the rows of a DataFrame or an RDD.

    Raises:
        ConfigurationError: It is neither, or a stream.
        MissingColumnError: The DataFrame lacks a column.
        UnsupportedColumnError: Several columns of it have one name.
    """
    from pyspark import RDD
    from pyspark.sql import DataFrame

    check_columns(columns)
    if isinstance(data, RDD):
        return RddRows(data, columns)
    if isinstance(data, DataFrame):
        if data.isStreaming:
            raise ConfigurationError(
                "this is a streaming DataFrame, which has no end; use cluster.train_stream(df)"
            )
        select_columns(data, columns)
        return DataFrameRows(data, columns)
    raise ConfigurationError(
        f"a feed is a Spark DataFrame or an RDD, not {_kind(data)}; make one of it with "
        "spark.createDataFrame(...) or spark.sparkContext.parallelize(...)"
    )


def names_files(data: Any) -> bool:
    """Whether data is meant as URIs of files, which are checked where they are read."""
    return isinstance(data, str | os.PathLike | list | tuple)


def is_direct(data: Any, seed: int | None) -> bool:
    """Whether the tasks that start the nodes can deliver the rows themselves, or need not.

    Spark first spreads the rows over these tasks, so they do not come in the same order each time,
    as a seed needs.
    """
    from pyspark.sql import DataFrame

    if data is None or names_files(data):
        return True
    return isinstance(data, DataFrame) and not data.isStreaming and seed is None


def check_direct(data: Any, seed: int | None) -> None:
    """Check that launch tasks can deliver the rows themselves.

    Raises:
        ConfigurationError: They cannot.
        UnsupportedColumnError: Several columns of the DataFrame have one name.
    """
    from pyspark.sql import DataFrame

    if is_direct(data, seed):
        if isinstance(data, DataFrame):
            check_names(data)
        return
    if isinstance(data, DataFrame) and not data.isStreaming:
        raise ConfigurationError(
            "seed=… needs rows that come in the same order each time, which those are not that "
            "the tasks that start the nodes deliver; feed them with cluster.train(df, "
            "shuffle=True, seed=…) inside a with tsm.Cluster(...) block, or with tsm.run(data=df)"
        )
    raise ConfigurationError(
        f"the tasks that start the nodes can deliver a DataFrame, not {_kind(data)}; feed it "
        "inside a with tsm.Cluster(...) block, with cluster.train(rdd) or "
        "cluster.train_stream(df), or make an RDD a DataFrame with spark.createDataFrame(rdd)"
    )


def check_columns(columns: Sequence[str] | None) -> None:
    """Raise ConfigurationError for what is no list of different names."""
    if columns is None:
        return
    names = [] if isinstance(columns, str) else list(columns)
    if not names or len(set(names)) < len(names) or not all(isinstance(n, str) for n in names):
        raise ConfigurationError(f"columns must be a list of different names, not {columns!r}")


def _kind(data: Any) -> str:
    streaming = "streaming " if getattr(data, "isStreaming", False) else ""
    package = type(data).__module__.partition(".")[0]
    # There are DataFrames of pandas and of polars as well.
    whose = "" if package in ("pyspark", "builtins") else f"{package} "
    return f"a {streaming}{whose}{type(data).__name__}"
