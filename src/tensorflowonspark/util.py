"""Helpers for programs on nodes."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from tensorflowonspark import gpu_info


def get_ip_address() -> str:
    """Return an address of this host: Spark's (`SPARK_LOCAL_IP`), or that of the host name."""
    if address := os.environ.get("SPARK_LOCAL_IP"):
        return address
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:  # a name that nobody resolves
        return "127.0.0.1"


def single_node_env(num_gpus: int = 1, worker_index: int = -1, nodes: Sequence[str] = ()) -> None:
    """Set `CUDA_VISIBLE_DEVICES` for a program that runs on one node.

    Args:
        num_gpus: Number of GPUs that the program takes, if the host has any.
        worker_index: Index of this program among all programs, or -1.
        nodes: Addresses of all programs, if known.
    """
    gpus: str | list[str] = ""
    if num_gpus > 0 and gpu_info.is_gpu_available():
        index = worker_index
        if nodes and worker_index >= 0:
            hosts = [node.rpartition(":")[0] or node for node in nodes]
            index = hosts[:worker_index].count(hosts[worker_index])
        gpus = gpu_info.get_gpus(num_gpus, index)
    os.environ["CUDA_VISIBLE_DEVICES"] = str(gpus)
