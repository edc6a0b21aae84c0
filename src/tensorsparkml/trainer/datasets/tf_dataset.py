"""A feed as a `tf.data` dataset that `model.fit` takes under any strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.data.columns.pytree import leaves, map_leaves
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.memory.aligned import is_aligned, own
from tensorsparkml.errors import ConfigurationError, DataError, ShapeMismatchError
from tensorsparkml.trainer.datasets.feed_reader import Rows
from tensorsparkml.trainer.datasets.source import Batches
from tensorsparkml.trainer.datasets.tensors import join_ragged, signature

# What is named: one, several as a tuple, or several under the names of a model's inputs.
Columns = Wanted | Sequence[Wanted] | Mapping[str, Wanted]

_PREFETCHED_BATCHES = 4
# What is handed to TensorFlow at once: an element from Python costs about half a millisecond.
_BYTES_AT_ONCE = 8 * 2**20


class BatchLayout:
    """Which columns go where in an element of the dataset.

    Args:
        features: Columns of the model's inputs, or None for all that are neither label nor weight.
        label: Columns of the targets, or None.
        sample_weight: Column of weights; True for weights of 1; None for no weights.
    """

    def __init__(
        self, features: Columns | None, label: Columns | None, sample_weight: str | bool | None
    ) -> None:
        if sample_weight and label is None:
            raise ConfigurationError("sample_weight needs a label, as in model.fit(x, y, weight)")
        self._features = features
        self._label = label
        self._weight = sample_weight or None

    @property
    def weight(self) -> str | bool | None:
        """Column of the rows' weights, True for weights of 1, or None."""
        return self._weight

    @property
    def several_features(self) -> tuple[str, ...]:
        """Names of the columns that features are a tuple of, if they are one."""
        if self._features is None or isinstance(self._features, str | Matrix | Mapping):
            return ()
        return tuple(map(str, self._features))

    def columns(self) -> list[Wanted] | None:
        """Return the columns and matrices to read, or None for all columns."""
        if self._features is None:
            return None
        return list(dict.fromkeys([*_names(self._features), *self.named()]))

    def named(self) -> list[Wanted]:
        """Return the columns of label and weight, which `features=None` leaves out."""
        weight: list[Wanted] = [self._weight] if isinstance(self._weight, str) else []
        return [*_names(self._label), *weight]

    def resolve(self, available: Sequence[str]) -> None:
        """Choose the features from the available columns, if none were named."""
        if self._features is None:
            used = {*_names(self._label), self._weight}
            self._features = {name: name for name in available if name not in used}

    def arrange(self, columns: Mapping[Any, Any], weights: Any) -> Any:
        """Return `x`, `(x, y)` or `(x, y, sample_weight)`, given the columns' values."""
        features = _arrange(self._features, columns)
        if self._label is None:
            return features
        if self._weight is None:
            return features, _arrange(self._label, columns)
        return features, _arrange(self._label, columns), weights

    def weights(self, columns: Mapping[Any, Any], rows: Rows) -> np.ndarray:
        """Return the rows' weights, shape `(rows,)`, float32."""
        if isinstance(self._weight, str):
            weights = columns[self._weight]
            if not isinstance(weights, np.ndarray) or weights.shape != (rows.count,):
                raise ShapeMismatchError(
                    f"sample_weight={self._weight!r} must be a column with one number per row"
                )
            return weights.astype(np.float32)
        return np.ones(rows.count, np.float32)


def local_dataset(
    reader: Batches,
    layout: BatchLayout,
    convert: Mapping[str, Column],
    batch_size: int,
    drop_remainder: bool,
    on_error: Callable[[DataError], object] = lambda _: None,
    least: int = 1,
    scaled: bool = False,
) -> Any:
    """Return a `tf.data.Dataset` of this node's batches; each iteration is one pass.

    Waits for the first rows, which set the shapes. If a batch raises an error, `on_error` gets it
    before TensorFlow wraps it in one of its own. Every batch has at least `least` rows (see
    `PassCursor`). With `scaled`, elements are pairs of a batch and its scale, a float32 scalar (see
    `Step.weight`).
    """
    import tensorflow as tf

    sample = reader.first_rows(least)
    assembler = Assembler(layout.columns(), convert, sample, layout.named())
    layout.resolve(assembler.single)

    # Ragged tensors have no common shape.
    stacked = not any(spec.ragged_rank for spec in leaves(assembler.specs))
    row_bytes = max(1, sample.batch.nbytes // sample.batch.num_rows)
    at_once = max(1, _BYTES_AT_ONCE // (row_bytes * batch_size)) if stacked else 1

    def elements() -> Iterator[Any]:
        try:
            for rows in reader.batches(batch_size, drop_remainder, at_once, least):
                columns = assembler.assemble(rows.slices)
                element = layout.arrange(columns, layout.weights(columns, rows))
                element = map_leaves(partial(_taken_over, set()), element)
                if stacked:
                    element = map_leaves(partial(_stack, rows), element)
                yield (element, _scales(rows, stacked)) if scaled else element
        except DataError as error:
            on_error(error)
            raise

    rows_of_batch = batch_size if drop_remainder else None
    first_axes = (None, rows_of_batch) if stacked else (rows_of_batch,)
    signatures = map_leaves(lambda spec: signature(spec, first_axes), assembler.specs)
    weights = tf.TensorSpec(first_axes, tf.float32)
    made: Any = layout.arrange(signatures, weights)
    if scaled:
        made = made, tf.TensorSpec((None,) if stacked else (), tf.float32)
    dataset = tf.data.Dataset.from_generator(elements, output_signature=made)
    dataset = dataset.prefetch(1).flat_map(_apart) if stacked else join_ragged(dataset)
    return dataset.prefetch(_PREFETCHED_BATCHES)


def transformed(dataset: Any, transform: Callable[..., Any] | None, *, scaled: bool = False) -> Any:
    """Return the dataset with the user's function applied to each batch, in order.

    Each batch becomes one batch, so the nodes' numbers of batches stay equal. With `scaled`,
    elements are pairs of a batch and its scale, and the function gets the batch.
    """
    import tensorflow as tf

    if transform is None:
        return dataset

    def batch_of_pair(batch: Any, scale: Any) -> Any:
        made = transform(*batch) if isinstance(batch, tuple) else transform(batch)
        return made, scale

    mapped = dataset.map(
        batch_of_pair if scaled else transform,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return mapped.prefetch(_PREFETCHED_BATCHES)


def _apart(*stacked: Any) -> Any:
    """Return a dataset with a separate element for each of the batches that come together.

    `unbatch` would copy every batch, and crashes (2.21) on tensors without values, as in a column
    of empty lists or a batch without rows. Slices share the memory of the whole tensor.
    """
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(stacked if len(stacked) > 1 else stacked[0])


def _taken_over(given: set[int], leaf: np.ndarray | Ragged) -> np.ndarray | Ragged:
    """Return an array that TensorFlow may overwrite, because nobody else reads it.

    Args:
        given: The arrays of the same element that TensorFlow already has. An array may occur twice
            in an element.
        leaf: The next array.
    """
    if isinstance(leaf, Ragged):
        return Ragged(own(leaf.values), tuple(map(own, leaf.row_splits)))
    if leaf.flags.writeable and is_aligned(leaf) and id(leaf) not in given:
        given.add(id(leaf))
        return leaf
    return own(leaf)


def _stack(rows: Rows, array: np.ndarray) -> np.ndarray:
    """Return the rows of several batches, with an additional first axis for the batches."""
    return array.reshape(rows.batches, rows.count // rows.batches, *array.shape[1:])


def _scales(rows: Rows, stacked: bool) -> np.ndarray | np.float32:
    """Return the scale of a batch, or those of several that come together."""
    scale = np.float32(rows.weight)
    return np.full(rows.batches, scale) if stacked else scale


def _names(columns: Columns | None) -> list[Wanted]:
    if columns is None:
        return []
    if isinstance(columns, str | Matrix):
        return [columns]
    return list(columns.values() if isinstance(columns, Mapping) else columns)


def _arrange(columns: Columns | None, values: Mapping[Any, Any]) -> Any:
    if isinstance(columns, str | Matrix):
        return values[columns]
    if isinstance(columns, Mapping):
        return {key: values[name] for key, name in columns.items()}
    return tuple(values[name] for name in columns or ())
