"""Checks of the arguments of a context's methods; they import no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorsparkml.checks import (
    Check,
    function,
    instance_of,
    integer,
    named,
    optional,
    paths,
    refuse,
    switch,
)
from tensorsparkml.data.columns.checks import conversions, layout, weight
from tensorsparkml.errors import ConfigurationError

_TENSORFLOW = ("tensorflow", "keras", "tf_keras")

SIZES: dict[str, Check] = {
    "batch_size": optional(integer(1)),
    "global_batch_size": optional(integer(1)),
}
LABELS: dict[str, Check] = {
    **SIZES,
    "features": optional(layout),
    "label": optional(layout),
    "sample_weight": weight,
    "drop_remainder": switch,
}
LAYOUT: dict[str, Check] = {
    **LABELS,
    "convert": conversions,
    "transform": optional(function),
}
FILES: dict[str, Check] = {
    "uri": paths,
    "shuffle": switch,
    "seed": optional(integer(0)),
    "shuffle_rows": integer(1),
    "filesystem": optional(
        instance_of(("fsspec", "pyarrow"), "a filesystem of fsspec or of pyarrow, or None")
    ),
}


def size_on_node(
    batch_size: int | None, global_batch_size: int | None, nodes: int, *, in_step: bool
) -> int:
    """Return the rows of a batch on each node from the one of two sizes that a program gave.

    Args:
        batch_size: Rows on each node.
        global_batch_size: Rows on all nodes together.
        nodes: How many nodes share the rows.
        in_step: Whether the batches of all nodes are one step together.

    Raises:
        ConfigurationError: Both sizes were given, or none, or the second one cannot be met.
    """
    if (batch_size is None) == (global_batch_size is None):
        raise ConfigurationError(
            "pass either batch_size=…, the rows of a batch on each node, or global_batch_size=…, "
            "the rows of a batch over all nodes"
        )
    if batch_size is not None:
        return batch_size
    assert global_batch_size is not None
    if not in_step:
        raise ConfigurationError(
            "global_batch_size needs nodes that train in step, but here each node's batch is a "
            "separate step; use batch_size"
        )
    size, rest = divmod(global_batch_size, nodes)
    if rest:
        raise ConfigurationError(
            f"global_batch_size={global_batch_size} does not divide evenly among {nodes} nodes; "
            f"use a multiple of {nodes}, or batch_size, the rows of a batch on each node"
        )
    return size


def tensorflow_object(wanted: str) -> Check:
    """Return a check for an object of TensorFlow's or Keras's, or of a class derived from one.

    Args:
        wanted: What is wanted, for the message.
    """
    return instance_of(_TENSORFLOW, wanted)


def record_schema(name: str, value: Any) -> dict[str, Any]:
    """Check for the features of a `tf.train.Example`, as `tf.io.parse_example` takes them."""
    feature = tensorflow_object("a feature such as tf.io.FixedLenFeature")
    found: dict[str, Any] = named(feature)(name, value)
    if not found:
        refuse(name, "a non-empty dict of features", value)
    return found


def layers_to_adapt(name: str, value: Any) -> Any:
    """Check for a layer with a method `adapt`, or a dict or list of some."""
    if isinstance(value, Mapping):
        layers = list(value.values())
    else:
        layers = list(value) if isinstance(value, Sequence) else [value]
    for layer in layers:
        if isinstance(layer, type) or not callable(getattr(layer, "adapt", None)):
            refuse(name, "preprocessing layers with a method adapt", layer)
    if not layers:
        refuse(name, "preprocessing layers", value)
    return value


def keras_callbacks(name: str, value: Any) -> list[Any]:
    """Check for a list of Keras's callbacks."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        refuse(name, "a list of Keras's callbacks", value)
    check = tensorflow_object("a Keras callback")
    return [check(f"{name}[{place}]", each) for place, each in enumerate(value)]
