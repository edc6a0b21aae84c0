"""The rendezvous of the nodes: each sends what its launch task has found and gets what all found.

Spark's own `allGather` looks only once a second whether all tasks have called (in Spark 4.3), which
every start of a cluster would wait for. Spark never repeats the barrier stage that a job ends
with, so no task calls twice.
"""

from __future__ import annotations

from typing import Any

import pyarrow.flight as flight

from tensorsparkml.control.protocol.gathered import decode_gathered
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient

_WAIT_SECONDS = 5.0  # how long the coordinator holds a call
_CALL_SECONDS = 30.0  # also where the driver does not run for a while


def meet(client: RpcClient, plan: ClusterPlan, rank: int, value: Any) -> list[Any]:
    """Hand a value to all nodes and return theirs, by rank; waits until all have called.

    Args:
        client: Connection of the node to the coordinator.
        plan: The cluster.
        rank: Rank of the node, which is the index of the launch task.
        value: What JSON can express.

    Raises:
        ConnectionError: The coordinator cannot be reached.
    """
    body = {
        "key": "launch",
        "rank": rank,
        "nodes": plan.nodes,
        "value": value,
        "wait": _WAIT_SECONDS,
    }
    try:
        while True:
            reply = client.call("gather", body, timeout=_CALL_SECONDS)
            if reply["gathered"] is not None:
                return decode_gathered(reply["gathered"])
    except flight.FlightError as error:
        raise ConnectionError(
            f"this executor cannot reach the driver's coordinator at {plan.coordinator}: {error}; "
            "set spark.driver.host to an address that executors reach, and let them connect to "
            "any port of it"
        ) from error
