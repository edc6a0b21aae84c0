"""Shutdown: from the nodes' last batch until `train` and the cluster have ended and nothing lives.

TensorFlowOnSpark's time is from its last full batch until `shutdown` has returned.
"""

from __future__ import annotations

import time

import tensorsparkml as tsm
from benchmarks import data, nodes
from benchmarks.report import Comparison, Series, Under
from benchmarks.session import Session, node_processes, wait_until
from benchmarks.tensorflowonspark import tfos_runs


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare the seconds after the last batch."""
    frame = session.frame("floats", part=8)
    ours = []
    for _ in range(repeats):
        args = {"batch_size": data.KINDS["floats"].batch_size, "features": "x", "label": "label"}
        with tsm.Cluster(
            nodes.read_to_the_end, args, spark=session.spark, num_workers=data.NODES
        ) as cluster:
            cluster.train(frame)
        wait_until(lambda: not node_processes(), "the nodes' processes to end")
        ours.append(time.time() - max(cluster.results))
    return [
        Comparison(
            what="shutdown: from the last batch until everything has ended",
            against="TensorFlowOnSpark 2.2.5",
            ours=Series("s", ours),
            theirs=Series("s", tfos_runs(session, repeats).shutdowns),
            limit=Under(1.0),
        )
    ]
