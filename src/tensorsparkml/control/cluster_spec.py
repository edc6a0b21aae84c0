"""The environment variables by which TensorFlow finds its cluster."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tensorsparkml.control.messages import Peer


def cluster_spec(peers: Sequence[Peer]) -> dict[str, list[str]]:
    """Return the addresses of the nodes' TensorFlow servers by role, as TF_CONFIG has them."""
    spec: dict[str, list[str]] = {}
    for peer in peers:
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        spec.setdefault(peer.role, []).append(f"{host}:{peer.tensorflow_port}")
    return spec


def node_environment(peers: Sequence[Peer], rank: int) -> dict[str, str]:
    """Return TF_CONFIG for tf.distribute and the DTENSOR_* variables for DTensor.

    Args:
        peers: All nodes by rank.
        rank: The node that is asked for.
    """
    node = peers[rank]
    spec = cluster_spec(peers)
    task = {"type": node.role, "index": node.task_index}
    jobs = [address for addresses in spec.values() for address in addresses]
    return {
        "TF_CONFIG": json.dumps({"cluster": spec, "task": task}),
        "DTENSOR_CLIENT_ID": str(rank),
        "DTENSOR_NUM_CLIENTS": str(len(peers)),
        "DTENSOR_JOB_NAME": "worker",
        "DTENSOR_JOBS": ",".join(jobs),
    }
