"""Files as a `tf.data` dataset whose batches TensorFlow cuts, not Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tensorsparkml.data.lockstep import PassPlan
from tensorsparkml.data.segments import LocatedBatch
from tensorsparkml.trainer.dataset import BatchLayout, local_dataset
from tensorsparkml.trainer.file_reader import FileReader
from tensorsparkml.trainer.reader import Rows

_PREFETCHED_BATCHES = 4


class _Stretches:
    """A reader whose batches are as large as they come."""

    def __init__(self, reader: FileReader, drop_remainder: bool) -> None:
        self._reader = reader
        self._drop_remainder = drop_remainder

    def first_row(self) -> LocatedBatch:
        return self._reader.first_row()

    def batches(self, size: int, drop_remainder: bool) -> Iterator[Rows]:
        return self._reader.stretches(size, self._drop_remainder)


def file_dataset(
    reader: FileReader,
    layout: BatchLayout,
    shapes: Mapping[str, tuple[int, ...]],
    batch_size: int,
    drop_remainder: bool,
) -> Any:
    """Return a `tf.data.Dataset` of this node's batches; each iteration is one pass.

    The same as `local_dataset`, faster where batches are small.
    """
    stretches = local_dataset(_Stretches(reader, drop_remainder), layout, shapes, batch_size, False)
    plan = reader.plan(batch_size, drop_remainder)
    return cut(stretches, plan, drop_remainder).prefetch(_PREFETCHED_BATCHES)


def cut(dataset: Any, plan: PassPlan, drop_remainder: bool) -> Any:
    """Cut a dataset of rows in batches of any size into batches of the sizes of a pass.

    Args:
        dataset: The rows, as many as the plan says.
        plan: The steps of the pass.
        drop_remainder: Whether all batches are full, and their shape is to say so.
    """
    import tensorflow as tf

    # All of one size but the last, unless the nodes' shares differ in the last two steps.
    last = [step.rows for step in plan.last]
    if all(rows == plan.size for rows in last[:-1]):
        found = dataset.rebatch(plan.size, drop_remainder=drop_remainder)
    else:
        found = dataset.rebatch(np.array([plan.size] * plan.full + last, np.int64))
    if last and not last[-1]:  # this node has no row for the last step
        nothing = tf.nest.map_structure(
            lambda spec: tf.zeros((0, *spec.shape[1:]), spec.dtype), dataset.element_spec
        )
        found = found.concatenate(tf.data.Dataset.from_tensors(nothing))
    return found
