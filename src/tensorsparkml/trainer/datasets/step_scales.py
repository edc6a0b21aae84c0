"""The weight of a replica's batch in its step, and the datasets that know it.

Keras divides the mean over a replica's batch by the number of replicas, and the strategy sums the
replicas' results. If their batches differ in size, each mean must also be multiplied by the batch's
scale: the number of its rows, relative to an even share of the step's rows. The scale is not part
of the elements that a program sees. So each dataset of this library has a second dataset of batches
with their scales, which the repaired Keras reads instead.
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
        map: Returns a distributed dataset like the one that the program sees, with a function
            applied to each element. It is marked as one of this library too.
    """

    pairs: Any
    map: Callable[[Callable[..., Any]], Any]


class ScaledIterator:
    """Yields batches as the program sees them; the repaired Keras reads them with their scales.

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
    """Mark a dataset as one of this library, as long as it lives.

    Args:
        dataset: A `tf.data.Dataset` for a single replica, or a distributed one.
        scales: The scales of the batches, if the dataset is distributed.
    """
    if scales is None:
        _local.add(dataset)
    else:
        _distributed[dataset] = scales


def is_own(dataset: Any) -> bool:
    """Whether a dataset is marked as one of this library."""
    return dataset in _local or dataset in _distributed


def scales_of(dataset: Any) -> ScaledDataset | None:
    """Return the batches of a dataset with their scales, or None if all have the same scale."""
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
    """Return the scale of the batch for which a loss is being computed, or None.

    It is also None within a `tf.function` that the step calls, because other graphs may use that
    function later, and cannot use the step's tensors.
    """
    scale = getattr(_active, "scale", None)
    if scale is None:
        return None
    import tensorflow as tf

    if tf.executing_eagerly():
        return None if tf.is_symbolic_tensor(scale) else scale
    here = tf.compat.v1.get_default_graph()
    return scale if tf.is_symbolic_tensor(scale) and scale.graph is here else None
