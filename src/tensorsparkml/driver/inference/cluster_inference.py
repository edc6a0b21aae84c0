"""The inferences of a running cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.protocol.keys import FEEDER
from tensorsparkml.driver.inference.jobs import JobGuard, infer_elements, infer_rows
from tensorsparkml.driver.lifecycle.running_cluster import RunningCluster
from tensorsparkml.errors import ConfigurationError, TensorSparkMLError

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


class ClusterInference:
    """Lets Spark's tasks send rows to the nodes of a cluster for inference.

    Args:
        running: The cluster.
        context: The application.
    """

    def __init__(self, running: RunningCluster, context: SparkContext) -> None:
        self._running = running
        self._context = context
        self._guard: JobGuard | None = None

    def infer(
        self,
        data: DataFrame | RDD[Any],
        schema: StructType,
        keep: Sequence[str],
        feed: str,
    ) -> DataFrame | RDD[Any]:
        """Return the nodes' replies to the rows, lazily; see `Cluster.inference`."""
        from pyspark.sql import DataFrame

        self._running.require_fed()
        peers = self._running.coordinator.readers()
        credentials = self._running.plan.keys.credentials(FEEDER)
        found: DataFrame | RDD[Any]
        if isinstance(data, DataFrame):
            found = infer_rows(credentials, peers, data, schema, feed, keep)
        elif keep:
            raise ConfigurationError("an RDD has no columns to keep; reply with the elements")
        else:
            found = infer_elements(credentials, peers, data, feed)
        self._guard = self._guard or self._new_guard()
        self._guard.cover()
        return found

    def release(self) -> None:
        """Stop watching the jobs of this thread."""
        if self._guard is not None:
            self._guard.release()

    def explain(self, error: BaseException) -> TensorSparkMLError | None:
        """Return the cause of Spark's exception if an inference failed, or else None."""
        return self._guard.explain(error) if self._guard is not None else None

    def _new_guard(self) -> JobGuard:
        tag = f"tensorsparkml-{self._running.plan.cluster_id}-inference"
        return JobGuard(self._context, tag, self._running.coordinator)
