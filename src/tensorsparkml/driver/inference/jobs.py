"""`cluster.inference`: a lazy DataFrame or RDD whose tasks ask the nodes of a running cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tensorsparkml.checks import refuse, shown
from tensorsparkml.control.coordinator.conditions import AnyFailure
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.driver.spark.columns import (
    arrow_schema,
    check_names,
    map_in_arrow,
    missing_column,
    repeated,
)
from tensorsparkml.driver.spark.private_api import cancel_jobs
from tensorsparkml.errors import (
    ConfigurationError,
    InferenceError,
    TensorSparkMLError,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import RDD, SparkContext
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

_CANCEL_SECONDS = 0.5  # between two attempts to cancel
_REPORT_SECONDS = 2.0  # for the report of a node whose failure Spark's tasks have noticed

Task = Callable[[Iterator[Any]], Iterator[Any]]


class JobGuard:
    """Ends the Spark jobs of threads that asked for inference when a node of the cluster fails.

    Most jobs would end without this, after Spark has repeated their tasks. But a job that waits for
    a host that has vanished would not: only the coordinator notices that.

    Args:
        context: The application.
        tag: Tag of the jobs.
        coordinator: Reports failures.
    """

    def __init__(self, context: SparkContext, tag: str, coordinator: Coordinator) -> None:
        self._context = context
        self._tag = tag
        self._coordinator = coordinator
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=tag, daemon=True)

    def cover(self) -> None:
        """Watch the jobs that this thread starts from now on."""
        self._context.addJobTag(self._tag)
        if not self._thread.is_alive():
            self._thread.start()

    def release(self) -> None:
        """Stop watching the jobs of this thread, and end."""
        self._released.set()
        self._coordinator.wake()
        with suppress(Exception):  # Py4J raises its own where the application has ended before
            self._context.removeJobTag(self._tag)

    def explain(self, error: BaseException) -> TensorSparkMLError | None:
        """Return the cause of Spark's exception if an inference failed, or else None."""
        text = str(error)
        if InferenceError.__name__ not in text and self._tag not in text:
            return None
        if (failure := self._coordinator.failure(_REPORT_SECONDS)) is not None:
            return failure
        if finished := self._coordinator.snapshot().finished:
            return InferenceError(
                f"the program returned on {', '.join(finished)} while Spark still asked for "
                "inference; loop over ctx.inference(...) to its end, which is when the driver "
                "leaves the with block"
            )
        return None

    def _watch(self) -> None:
        self._coordinator.wait_for(AnyFailure(), until=self._released.is_set)
        failure = self._coordinator.failure(0.0)
        cause = "" if failure is None else f": [{failure.node or 'driver'}] {failure.message}"
        reason = f"by {self._tag}{cause}"
        with suppress(Exception):  # as above
            while not self._released.is_set():
                cancel_jobs(self._context, self._tag, reason)
                self._released.wait(_CANCEL_SECONDS)


def results_schema(name: str, value: Any) -> StructType:
    """Check for names and types of columns, as Spark's DDL or a `StructType`; see `checks`."""
    from pyspark.errors import ParseException
    from pyspark.sql.types import DataType, StructType

    try:
        schema = DataType.fromDDL(value) if isinstance(value, str) and value else value
    except ParseException as error:
        raise ConfigurationError(
            f"{name}={shown(value)} is not a valid schema: {error.getCondition()}; give names and "
            "types of columns, as in 'prediction float'"
        ) from error
    if not isinstance(schema, StructType) or not schema.fields:
        refuse(name, "names and types of columns, as in 'prediction float'", value)
    if twice := repeated(schema.names):
        raise ConfigurationError(f"{name} has several columns named {twice[0]!r}; rename them")
    return schema


def infer_rows(
    credentials: Credentials,
    peers: Sequence[Peer],
    data: DataFrame,
    schema: StructType,
    feed: str,
    keep: Sequence[str],
) -> DataFrame:
    """Return the nodes' replies to the rows of a DataFrame, lazily.

    Args:
        credentials: A feeder's credentials.
        peers: All nodes by rank.
        data: The rows.
        schema: Names and types of the results' columns.
        feed: Name by which programs ask for the rows.
        keep: Columns of `data` to put before the results.

    Raises:
        MissingColumnError: A column to keep does not exist.
        UnsupportedColumnError: Several columns have the same name.
        ConfigurationError: A column is both in `keep` and in the schema.
    """
    from pyspark.sql.types import StructType

    check_names(data)
    for name in keep:
        if name not in data.columns:
            raise missing_column(name, data.columns)
    if taken := [name for name in schema.names if name in keep]:
        raise ConfigurationError(
            f"column {taken[0]!r} is both in keep and in the schema; leave it out of one of them"
        )
    whole = StructType([*(data.schema[name] for name in keep), *schema.fields])
    task = _row_task(credentials, list(peers), feed, arrow_schema(data.sparkSession, schema), keep)
    return map_in_arrow(data, task, whole)


def infer_elements(
    credentials: Credentials, peers: Sequence[Peer], data: RDD[Any], feed: str
) -> RDD[Any]:
    """Return the nodes' replies to the elements of an RDD, lazily; see `infer_rows`."""
    nodes = list(peers)

    def task(partition: int, elements: Iterable[Any]) -> Iterator[Any]:
        from tensorsparkml.data.inference.wire import ELEMENTS, Request
        from tensorsparkml.executor.inference.spark_task import infer_elements

        request = Request(feed, partition, ELEMENTS, elements=True)
        return infer_elements(credentials, nodes, request, elements)

    return data.mapPartitionsWithIndex(task)


def _row_task(
    credentials: Credentials,
    peers: list[Peer],
    feed: str,
    schema: pa.Schema,
    keep: Sequence[str],
) -> Task:
    def task(batches: Iterator[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        from tensorsparkml.data.inference.wire import Request
        from tensorsparkml.executor.inference.spark_task import infer

        context = TaskContext.get()
        assert context is not None
        request = Request(feed, context.partitionId(), schema, tuple(keep))
        return infer(credentials, peers, request, batches)

    return task
