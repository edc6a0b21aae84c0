"""The weight of a replica's batch in its step, and the datasets that know it.

Keras divides the mean over a replica's batch by the number of replicas, and the strategy adds up
what the replicas get. Where their batches differ in size, that mean must also be multiplied by the
batch's rows, relative to an even share of the step's: the scale. A dataset of this library knows
the scale of each batch, which does not belong to the element that a program sees. So each such
dataset has a second one, of batches with their scales, which the repaired Keras reads instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

__all__ = [
    "ScaledBatch",
    "ScaledDataset",
    "ScaledIterator",
    "current_scale",
    "is_own",
    "mark_own",
    "scaled",
    "scales_of",
]

_local: WeakSet[Any] = WeakSet()
_distributed: WeakKeyDictionary[Any, ScaledDataset] = WeakKeyDictionary()
_active = threading.local()  # a strategy runs each replica's step in a thread of its own


class ScaledBatch(NamedTuple):
    """A batch as a step function gets it.

    Attributes:
        batch: The element that the program sees.
        scale: The batch's rows, relative to an even share of the step's rows; float32 scalar.
    """

    batch: Any
    scale: Any


@dataclass(frozen=True)
class ScaledDataset:
    """The batches of a distributed dataset with their scales.

    Attributes:
        pairs: Distributed dataset of pairs: the element that the program sees, and its scale.
        map: Returns a distributed dataset like the one the program sees, with a function applied
            to each element, which is known here as well.
    """

    pairs: Any
    map: Callable[[Callable[..., Any]], Any]


class ScaledIterator:
    """Yields batches as the program sees them; the repaired Keras takes them with their scales.

    Attributes:
        pairs: The `tf.distribute.DistributedIterator` of batches and scales.
    """

    def __init__(self, pairs: Any) -> None:
        self.pairs = pairs

    def __iter__(self) -> ScaledIterator:
        return self

    def __next__(self) -> Any:
        batch, _ = next(self.pairs)
        return batch


def mark_own(dataset: Any, scales: ScaledDataset | None = None) -> None:
    """Remember a dataset of this library, for as long as it lives.

    Args:
        dataset: A `tf.data.Dataset` for a single replica, or a distributed one.
        scales: The scales of the batches, where it is distributed.
    """
    if scales is None:
        _local.add(dataset)
    else:
        _distributed[dataset] = scales


def is_own(dataset: Any) -> bool:
    """Whether this very dataset is one of this library."""
    return dataset in _local or dataset in _distributed


def scales_of(dataset: Any) -> ScaledDataset | None:
    """Return the batches of a dataset with their scales, or None where they all count the same."""
    return _distributed.get(dataset)


@contextmanager
def scaled(scale: Any) -> Iterator[None]:
    """Let `current_scale` return the scale, in this thread."""
    before = getattr(_active, "scale", None)
    _active.scale = scale
    try:
        yield
    finally:
        _active.scale = before


def current_scale() -> Any:
    """Return the scale of the batch of which a loss is being computed, or None.

    It is None, too, within a `tf.function` that the step calls: such a function may be used by
    other graphs later, to which the step's tensors mean nothing.
    """
    scale = getattr(_active, "scale", None)
    if scale is None:
        return None
    import tensorflow as tf

    if tf.executing_eagerly():
        return None if tf.is_symbolic_tensor(scale) else scale
    here = tf.compat.v1.get_default_graph()
    return scale if tf.is_symbolic_tensor(scale) and scale.graph is here else None
