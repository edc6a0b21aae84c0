"""The part of `Cluster` that asks its nodes about rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from tensorsparkml.checks import checked, names
from tensorsparkml.control.protocol.keys import FEEDER
from tensorsparkml.control.protocol.names import feed_name
from tensorsparkml.driver.inference import JobGuard, infer_elements, infer_rows, results_schema
from tensorsparkml.driver.row_sources import spark_rows
from tensorsparkml.driver.startup import RunningCluster
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


class InferenceCalls:
    """`Cluster.inference`."""

    _spark: SparkSession
    _fed: bool
    _running: RunningCluster | None = None
    _ended = False
    _guard: JobGuard | None = None

    def _require_running(self) -> RunningCluster:
        """Return the cluster, which runs."""
        if self._running is None or self._ended:
            raise ConfigurationError("this cluster does not run; use it in a with block")
        return self._running

    def _require_fed(self) -> RunningCluster:
        """Return the cluster that runs and has a task slot for Spark's other tasks."""
        if not self._fed:
            raise ConfigurationError(
                "this cluster keeps no task slot for other Spark tasks; use Cluster(...) without "
                "direct data and without fed=False"
            )
        return self._require_running()

    def _release_guard(self) -> None:
        if self._guard is not None:
            self._guard.release()

    @overload
    def inference(
        self,
        data: DataFrame,
        schema: str | StructType = ...,
        *,
        keep: Sequence[str] = ...,
        feed: str = ...,
    ) -> DataFrame: ...

    @overload
    def inference(self, data: RDD[Any], *, feed: str = ...) -> RDD[Any]: ...

    @checked(data=spark_rows, keep=names, feed=feed_name, schema=results_schema)
    def inference(
        self,
        data: DataFrame | RDD[Any],
        schema: str | StructType = "prediction float",
        *,
        keep: Sequence[str] = (),
        feed: str = "inference",
    ) -> DataFrame | RDD[Any]:
        """Return what the nodes reply to the rows, lazily, in their order and partitions.

        The programs get the rows from `ctx.inference(...)`. An action on the result runs them, as
        often as there are actions, and must end before the with block does.

        Args:
            data: The rows. Elements of an RDD and their results may be anything that can be
                pickled.
            schema: Names and types of the columns that programs reply with, for a DataFrame.
            keep: Columns of the DataFrame that stand before the results, unchanged; there must
                then be one result for each row.
            feed: Name by which programs ask for the rows.

        Raises:
            MissingColumnError: A column to keep does not exist.
            ConfigurationError: The cluster does not run, or keeps no task slot for Spark's tasks.
        """
        from pyspark.sql import DataFrame

        running = self._require_fed()
        peers = running.coordinator.readers()
        credentials = running.plan.keys.credentials(FEEDER)
        if self._guard is None:
            tag = f"tensorsparkml-{running.plan.cluster_id}-inference"
            self._guard = JobGuard(self._spark.sparkContext, tag, running.coordinator)
        if isinstance(data, DataFrame):
            assert not isinstance(schema, str)  # its check has read it
            rows = infer_rows(credentials, peers, data, schema, feed, keep)
            self._guard.cover()
            return rows
        if keep:
            raise ConfigurationError("an RDD has no columns to keep; reply with the elements")
        self._guard.cover()
        return infer_elements(credentials, peers, data, feed)
