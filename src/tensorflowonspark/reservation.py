"""Raises at import: there is no server for reservations."""

from __future__ import annotations

from tensorflowonspark.removed import removed

raise removed(
    "reservation",
    "TFCluster.run returns when all nodes run, and cluster.cluster_info has their addresses. What "
    "ended a stream with reservation.Client(address).request_stop() now calls "
    "ssc.stop(stopSparkContext=False, stopGraceFully=True) on the driver, or terminate() of the "
    "feed on all nodes; cluster.shutdown(ssc) then returns. New programs call stop() of what "
    "tensorsparkml's cluster.train_stream(…) returns.",
)
