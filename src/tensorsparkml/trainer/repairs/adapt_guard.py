"""Lets `layer.adapt(dataset)` say what to do where the dataset is distributed.

Keras's preprocessing layers take a `tf.distribute.DistributedDataset` for any iterable, and fail
with "'PerReplica' object has no attribute 'dtype'" or the like. Only public names of Keras are
used; `tests/trainer/test_adapt_guard.py` pins that its layers are found.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

from tensorsparkml.errors import ConfigurationError

__all__ = ["guard", "install"]


@functools.cache
def install() -> None:
    """Guard the layers when Keras is imported; imports neither Keras nor TensorFlow."""
    wrapt.when_imported("keras")(guard)


def guard(keras: ModuleType) -> None:
    """Let every public class with an `adapt` of its own refuse distributed datasets."""
    for module in (keras.layers, keras.utils):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and "adapt" in vars(kind):
                wrapt.wrap_function_wrapper(module, f"{name}.adapt", _refuse_distributed)


def _refuse_distributed(
    wrapped: Callable[..., Any], layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    import tensorflow as tf

    for data in (*args, *kwargs.values()):
        if isinstance(data, tf.distribute.DistributedDataset):
            kind = type(layer).__name__
            raise ConfigurationError(
                f"{kind}.adapt would see only this node's part of a distributed dataset; call "
                f"ctx.adapt(layer, dataset) instead, which lets {kind} learn from the rows of all "
                "nodes"
            )
    return wrapped(*args, **kwargs)
