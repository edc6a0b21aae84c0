"""The `tf.distribute` strategies of a node, and how TensorFlow's servers find each other."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

_POLL_SECONDS = 0.02
_LISTEN_SECONDS = 60.0


def all_workers_strategy(cluster_spec: Mapping[str, Sequence[str]], rank: int) -> Any:
    """Return the synchronous strategy over all nodes.

    TensorFlow's client waits a whole second when its first call finds nobody who listens, so the
    other nodes do not call before the chief's server is there.
    """
    import tensorflow as tf

    if rank > 0:
        wait_for_server(cluster_spec["chief"][0], _LISTEN_SECONDS)
    return tf.distribute.MultiWorkerMirroredStrategy()


def wait_for_server(address: str, seconds: float) -> bool:
    """Wait until something listens at an address, and return whether it does.

    Args:
        address: Host and port, such as `10.0.0.1:4040` or `[::1]:4040`.
        seconds: How long to wait at most.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):  # nobody listens yet
            socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()
            return True
        time.sleep(_POLL_SECONDS)
    return False
