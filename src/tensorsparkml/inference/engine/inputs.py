"""Rows of a task become the inputs of a model. No TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.names import Names
from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.columns.types import is_binary, is_struct, leaf_type, list_depth
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.errors import (
    ConfigurationError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)
from tensorsparkml.inference.models.signature import Shape, TensorSpec

Array = np.ndarray | Ragged
# Takes the bytes of all rows and returns what they mean, shape `(rows, ...)`.
Decoder = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Input:
    """What one input of a model gets.

    Attributes:
        name: Name of the input.
        spec: What the model says of it, or None where a function says nothing.
        wanted: The column or matrix that it gets.
        pad: What fills shorter lists up to the longest one of a batch, or None for no padding.
        decoder: Decodes the values of a binary column, or None.
    """

    name: str
    spec: TensorSpec | None
    wanted: Wanted
    pad: Any = None
    decoder: Decoder | None = None


class InputAssembler:
    """Turns rows into the inputs of a model.

    Args:
        inputs: The inputs.
        convert: How columns become tensors, where the default is not wanted.
        sample: A batch with at least one row, which gives the types and the lengths of lists.

    Raises:
        DataError: A column is missing, or cannot become what its input takes.
        ConfigurationError: What is asked for is not possible for the column.
    """

    def __init__(
        self, inputs: Sequence[Input], convert: Mapping[str, Column], sample: LocatedBatch
    ) -> None:
        self._inputs = inputs
        names = Names(sample.batch.schema, convert)
        options = {
            str(each.wanted): found
            for each in inputs
            if (found := column_options(each, names, convert)) is not None
        }
        columns = {each.name: each.wanted for each in inputs}
        self._assembler = Assembler(columns, {**convert, **options}, sample)
        for each in inputs:
            if isinstance(self._assembler.specs[each.name], dict):
                raise ConfigurationError(
                    f"column {each.wanted!r} is a struct, but an input takes one tensor; name a "
                    "field of it"
                )

    def assemble(self, slices: Sequence[LocatedBatch]) -> dict[str, Array]:
        """Return an array for each input, shape `(rows, ...)`.

        Raises:
            DataError: A value does not fit; the message names its column and row.
        """
        arrays = self._assembler.assemble(slices)
        return {each.name: fit(arrays[each.name], each, slices) for each in self._inputs}


def column_options(wanted: Input, names: Names, convert: Mapping[str, Column]) -> Column | None:
    """Return how a column is to be read for an input, or None where the user or nobody says it."""
    if isinstance(wanted.wanted, Matrix):
        return None
    place, is_mask = names.look_up(wanted.wanted)
    type_ = place.field.type
    if is_mask or is_struct(type_):
        return None
    options = convert.get(wanted.wanted)
    spec = wanted.spec
    bytes_fit = spec is not None and spec.dtype == "uint8" and wanted.decoder is None
    if options is None and bytes_fit and is_binary(leaf_type(type_)):
        options = Column(dtype="uint8")
    depth = list_depth(type_)
    shape = None if spec is None else spec.row_shape
    varies = wanted.pad is not None or (shape is not None and None in shape)
    if depth and varies and (options is None or options.shape is None):
        return replace(options or Column(), shape=_ragged_shape(shape, depth, wanted.pad))
    return options


def _ragged_shape(shape: Shape | None, depth: int, pad: Any) -> Shape:
    """Return a shape of lists in which those may have any length that the input leaves open."""
    if shape is None or len(shape) != depth:
        return (None,) * depth
    open_ = [place for place, size in enumerate(shape) if size is None or pad is not None]
    last = min(max(open_), depth - 1)
    return (None,) * (last + 1) + shape[last + 1 :]


def fit(values: Array, wanted: Input, slices: Sequence[LocatedBatch]) -> Array:
    """Return the values in the shape and the dtype of an input.

    Args:
        values: The column's values, shape `(rows, ...)`.
        wanted: The input.
        slices: The rows, for messages.

    Raises:
        DataError: They do not fit.
    """
    if wanted.decoder is not None:
        values = wanted.decoder(np.asarray(values))
    spec = wanted.spec
    if isinstance(values, Ragged):
        if spec is not None and spec.ragged and wanted.pad is None:
            return Ragged(as_dtype(values.values, wanted), values.row_splits)
        values = _dense(values, wanted, slices)
    return as_dtype(as_shape(values, wanted), wanted)


def _dense(values: Ragged, wanted: Input, slices: Sequence[LocatedBatch]) -> np.ndarray:
    """Return lists of any length as an array, padded on the right where that is allowed."""
    array = values.values
    shape = wanted.spec.row_shape if wanted.spec else None
    for level in reversed(range(len(values.row_splits))):
        lengths = np.diff(values.row_splits[level])
        size = shape[level] if shape and len(shape) > level else None
        if size is None:
            longest = int(lengths.max(initial=0))
            wrong = lengths != lengths[:1] if wanted.pad is None else lengths < 0
        else:
            longest = size
            wrong = lengths != size if wanted.pad is None else lengths > size
        if wrong.any():
            raise _uneven(wanted, values, level, int(np.argmax(wrong)), size, slices)
        if (lengths == longest).all():
            array = array.reshape(len(lengths), longest, *array.shape[1:])
            continue
        padded = np.empty((len(lengths), longest, *array.shape[1:]), array.dtype)
        padded[...] = wanted.pad
        padded[np.arange(longest) < lengths[:, np.newaxis]] = array
        array = padded
    return array


def _uneven(
    wanted: Input,
    values: Ragged,
    level: int,
    index: int,
    size: int | None,
    slices: Sequence[LocatedBatch],
) -> RaggedColumnError:
    lengths = np.diff(values.row_splits[level])
    length = int(lengths[index])
    for splits in reversed(values.row_splits[:level]):
        index = int(np.searchsorted(splits, index, "right")) - 1
    padding = f"pad={{{wanted.wanted!r}: 0}}"
    if size is None:
        advice = f"the first one has {lengths[0]}; fill them up with {padding}, or in Spark"
    else:
        advice = f"input {wanted.name!r} of the model takes {size}; "
        short = f"fill them up with {padding}, or in Spark"
        advice += short if length < size else "cut the lists in Spark"
    return RaggedColumnError(
        f"column {wanted.wanted!r} has a list of length {length} in {locate(slices, index)}, but "
        f"{advice}"
    )


def locate(slices: Sequence[LocatedBatch], index: int) -> str:
    """Name a row of several slices."""
    for located in slices:
        if index < located.batch.num_rows:
            return located.origin.describe(index)
        index -= located.batch.num_rows
    return "a row"


def as_shape(values: np.ndarray, wanted: Input) -> np.ndarray:
    """Return the values in the shape of an input, if they have as many for each row.

    Raises:
        ShapeMismatchError: They have more or fewer.
    """
    shape = wanted.spec.row_shape if wanted.spec else None
    if shape is None:
        return values
    found = values.shape[1:]
    sizes = zip(found, shape, strict=False)
    if len(found) == len(shape) and all(size in (None, own) for own, size in sizes):
        return values
    known = [size for size in shape if size is not None]
    whole, per_row = math.prod(known), math.prod(found)
    if len(known) == len(shape) and whole == per_row:
        return values.reshape(len(values), *known)
    if len(known) == len(shape) - 1 and whole and per_row % whole == 0 and len(found) <= 1:
        return values.reshape(len(values), *(-1 if size is None else size for size in shape))
    raise ShapeMismatchError(
        f"{named(wanted.wanted)} has rows of the shape {found}, but input {wanted.name!r} of the "
        f"model takes {shape}; name another column, or change its lists in Spark"
    )


def as_dtype(values: np.ndarray, wanted: Input) -> np.ndarray:
    """Return the values in the dtype of an input.

    Integers become smaller ones, or floating-point numbers, where they fit. Floating-point numbers
    become any others of their kind, and are rounded, as `Column(dtype=...)` does.

    Raises:
        UnsupportedColumnError: They have another kind, or are too large.
    """
    if wanted.spec is None:
        return values
    problem = misfit_of_dtypes(values.dtype, wanted.spec.dtype)
    if problem is None:
        dtype = numpy_dtype(wanted.spec.dtype)
        if values.dtype == dtype:
            return values
        cast: np.ndarray = values.astype(dtype)
        exact = dtype.kind not in "iu" or np.can_cast(values.dtype, dtype)
        if exact or np.array_equal(cast, values):
            return cast
        outside = values[cast != values].flat[0]
        problem = f"has the value {outside}, which {wanted.spec.dtype} does not hold"
    raise wrong_dtype(wanted, wanted.spec, problem)


def wrong_dtype(wanted: Input, spec: TensorSpec, problem: str) -> UnsupportedColumnError:
    """Return the error for a column whose dtype its input does not take."""
    return UnsupportedColumnError(
        f"{named(wanted.wanted)} {problem}, but input {wanted.name!r} of the model takes "
        f"{'strings' if spec.dtype == 'string' else spec.dtype}; name another column, or cast this "
        "one in Spark"
    )


def misfit_of_dtypes(found: np.dtype, wanted: str) -> str | None:
    """Return what is wrong with a column's dtype for an input, or None where it fits.

    Args:
        found: dtype of the column's array; object for strings.
        wanted: TensorFlow's name of the input's dtype.
    """
    dtype = numpy_dtype(wanted)
    kinds = found.kind, dtype.kind
    if (kinds[0] == "O") != (kinds[1] == "O"):
        return "has strings" if kinds[0] == "O" else f"has {found}"
    fits = {"b": "biuf", "i": "iuf", "u": "iuf", "f": "f", "O": "O"}
    return None if kinds[1] in fits.get(kinds[0], "") else f"has {found}"


def numpy_dtype(name: str) -> np.dtype:
    """Return the NumPy dtype of one of TensorFlow; float32 for bfloat16, object for strings."""
    others = {"string": "O", "bfloat16": "float32"}
    return np.dtype(others.get(name, name))


def named(wanted: Wanted) -> str:
    """Name a column or a matrix in a message."""
    return f"column {wanted!r}" if isinstance(wanted, str) else str(wanted)
