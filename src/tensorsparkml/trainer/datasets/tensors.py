"""Arrays of a batch as tensors: their signatures, and ragged tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorsparkml.data.columns.convert import ColumnSpec
from tensorsparkml.data.columns.matrix import MatrixSpec
from tensorsparkml.data.columns.pytree import leaves, map_leaves
from tensorsparkml.data.columns.ragged import Ragged


def signature(spec: ColumnSpec | MatrixSpec, first_axes: tuple[int | None, ...]) -> Any:
    """Return the `tf.TensorSpec` of a column's or matrix's batches, or several in a `Ragged`.

    Args:
        spec: Shape and dtype of the column's rows.
        first_axes: Number of rows in a batch, or None if it varies. If several batches of a column
            that is not ragged come together, their number precedes it.
    """
    import tensorflow as tf

    dtype = tf.string if spec.dtype == np.dtype(object) else tf.as_dtype(spec.dtype)
    if isinstance(spec, MatrixSpec) or not spec.ragged_rank:
        return tf.TensorSpec((*first_axes, *spec.shape), dtype)
    (rows,) = first_axes
    inner = [tf.TensorSpec((None,), tf.int64)] * (spec.ragged_rank - 1)
    outer = tf.TensorSpec((None if rows is None else rows + 1,), tf.int64)
    return Ragged(tf.TensorSpec((None, *spec.inner_shape), dtype), (outer, *inner))


def join_ragged(dataset: Any) -> Any:
    """Return a dataset with a `tf.RaggedTensor` in place of every `Ragged` of its elements."""
    import tensorflow as tf

    def join(value: Any) -> Any:
        if isinstance(value, Ragged):
            # The rows were checked when they were cut from Arrow's lists.
            return tf.RaggedTensor.from_nested_row_splits(*value, validate=False)
        return value

    def join_all(*element: Any) -> Any:
        joined = tuple(map_leaves(join, part) for part in element)
        return joined if len(joined) > 1 or unpacked else joined[0]

    if not any(isinstance(leaf, Ragged) for leaf in leaves(dataset.element_spec)):
        return dataset
    unpacked = type(dataset.element_spec) is tuple  # as `map` passes it
    return dataset.map(join_all)
