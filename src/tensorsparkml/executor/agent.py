"""The agent: the process beside each node that supervises it and owns its data.

Started by the launch task as `python -m tensorsparkml.executor.agent`, with its orders on standard
input. It imports neither TensorFlow nor PySpark, and ends, trainer included, when the cluster
ends, when the coordinator is silent for longer than the lease, or when its executor is gone.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys

from tensorsparkml.control.frames import read_frame
from tensorsparkml.control.messages import Peer
from tensorsparkml.control.plan import ClusterPlan
from tensorsparkml.executor.node import Node


def main() -> None:
    """Run the agent of one node."""
    orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    start = read_frame(orders)
    if start is None:
        return
    body = json.loads(start)
    plan = ClusterPlan.decode(base64.b64decode(body["plan"]))
    node = Node(plan, body["rank"], body["host"], body["executor"], orders)
    try:
        print(json.dumps(node.address), flush=True)
        others, pickled = read_frame(orders), read_frame(orders)
        if others is not None and pickled is not None:
            told = json.loads(others)
            node.run([Peer(**peer) for peer in told["peers"]], told["environment"], pickled)
    finally:
        node.close()


if __name__ == "__main__":
    main()
