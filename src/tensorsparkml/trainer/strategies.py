"""The `tf.distribute` strategies of a node, and how TensorFlow's servers find each other."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.repairs import (
    adapt_guard,
    keras_fix,
    legacy_keras_fix,
    model_guard,
    tensorflow_fix,
)

_POLL_SECONDS = 0.02
_TOO_LATE = "must be configured at program startup"  # in TensorFlow's message
_LISTEN_SECONDS = 60.0


def repair_steps() -> None:
    """Let Keras count the steps of a single replica, whether it is loaded already or later."""
    keras_fix.install_for_one_replica()
    legacy_keras_fix.install_for_one_replica()
    model_guard.install()


def repair_keras() -> None:
    """Let Keras train over several replicas, whether it is loaded already or later."""
    tensorflow_fix.install()
    keras_fix.install()
    legacy_keras_fix.install()
    adapt_guard.install()
    model_guard.install()


def all_workers_strategy(cluster_spec: Mapping[str, Sequence[str]], is_chief: bool) -> Any:
    """Return the synchronous strategy over all nodes.

    TensorFlow's client waits a whole second when its first call finds nobody who listens, so the
    other nodes do not call before the chief's server is there.

    Raises:
        ConfigurationError: The program has run operations before.
    """
    import tensorflow as tf

    if not is_chief:
        wait_for_server(cluster_spec["chief"][0], _LISTEN_SECONDS)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if _TOO_LATE not in str(error):
            raise
        raise ConfigurationError(
            "the program must create the strategy before it runs any operation of TensorFlow, such "
            "as creating a model or a tensor; begin it with `strategy = ctx.strategy`, and create "
            "and compile the model in `with ctx.strategy.scope():`"
        ) from error


def local_strategy(several_gpus: bool) -> Any:
    """Return the strategy of a node that trains alone.

    Args:
        several_gpus: Whether all GPUs of the node are used, rather than the first one.
    """
    import tensorflow as tf

    if several_gpus and len(tf.config.list_physical_devices("GPU")) > 1:
        repair_keras()
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def connected_strategy(cluster_spec: Mapping[str, Sequence[str]], variable_partitioner: Any) -> Any:
    """Return the strategy of a chief that hands steps to workers, with their servers running."""
    import tensorflow as tf

    for role in ("worker", "ps"):
        for address in cluster_spec[role]:
            wait_for_server(address, _LISTEN_SECONDS)
    return tf.distribute.ParameterServerStrategy(
        tf.distribute.cluster_resolver.TFConfigClusterResolver(),
        variable_partitioner=variable_partitioner,
    )


def serve(cluster_spec: Mapping[str, Sequence[str]], role: str, task_index: int) -> Any:
    """Start this node's TensorFlow server, and return it."""
    import tensorflow as tf

    config = tf.compat.v1.ConfigProto()
    # Calls of all workers may wait for each other, so none may keep the others from running.
    servers = sum(map(len, cluster_spec.values()))
    config.inter_op_parallelism_threads = max(servers + 1, os.cpu_count() or 1)
    return tf.distribute.Server(
        dict(cluster_spec), job_name=role, task_index=task_index, config=config, protocol="grpc"
    )


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
