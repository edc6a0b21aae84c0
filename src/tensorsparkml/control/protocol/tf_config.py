"""The environment variables by which TensorFlow finds its cluster."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.roles import CHIEF, EVALUATOR, WORKER


def addresses(peers: Sequence[Peer]) -> dict[str, str]:
    """Return the addresses for the nodes' TensorFlow servers by name of the node."""
    found = {}
    for peer in peers:
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        found[peer.name] = f"{host}:{peer.tensorflow_port}"
    return found


def cluster_spec(peers: Sequence[Peer]) -> dict[str, list[str]]:
    """Return the addresses of the nodes' TensorFlow servers by role, as TF_CONFIG has them."""
    by_name = addresses(peers)
    spec: dict[str, list[str]] = {}
    for peer in peers:
        if peer.role != EVALUATOR:
            spec.setdefault(peer.role, []).append(by_name[peer.name])
    return spec


def node_environment(peers: Sequence[Peer], rank: int) -> dict[str, str]:
    """Return TF_CONFIG for tf.distribute and the DTENSOR_* variables for DTensor.

    An evaluator is no part of the cluster that the others form. DTensor knows workers alone.

    Args:
        peers: All nodes by rank.
        rank: The node that is asked for.
    """
    node = peers[rank]
    spec = cluster_spec(peers)
    task = {"type": node.role, "index": node.task_index}
    environment = {"TF_CONFIG": json.dumps({"cluster": spec, "task": task})}
    if {peer.role for peer in peers} - {CHIEF, WORKER, EVALUATOR} or node.role == EVALUATOR:
        return environment
    jobs = [address for addresses in spec.values() for address in addresses]
    return environment | {
        "DTENSOR_CLIENT_ID": str(rank),
        "DTENSOR_NUM_CLIENTS": str(len(jobs)),
        "DTENSOR_JOB_NAME": "worker",
        "DTENSOR_JOBS": ",".join(jobs),
    }
