"""Arrow columns to NumPy arrays that are ready to become tensors.

What a column becomes is decided once, from its type, some rows and what the user asks for: a
`ColumnSpec`. Batches are then converted level by level: nested lists are opened, whose lengths are
checked or kept, until the elements lie in one run, which the table of `column_types` converts. The
arrays are views of Arrow's memory, and then read-only, wherever the two layouts agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.hints import text
from tensorsparkml.data.columns.misfit import Misfit
from tensorsparkml.data.columns.nested import Levels, RowLocator, open_lists
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.columns.shapes import (
    Shape,
    given_shape,
    lengths_found,
    lengths_of_shape,
    shape_found,
)
from tensorsparkml.data.columns.types import (
    OBJECT,
    ElementType,
    check_type,
    is_binary,
    leaf_type,
    list_depth,
    packed_type,
)
from tensorsparkml.errors import ConfigurationError, UnsupportedColumnError

__all__ = ["ColumnSpec", "RowLocator", "check_dtype", "column_spec", "mask_spec", "to_numpy"]


@dataclass(frozen=True)
class ColumnSpec:
    """What a column becomes.

    Attributes:
        name: The column's name; that of a field of a struct is `person.age`.
        type: Its Arrow type.
        dtype: NumPy dtype of the tensor's elements; object for strings and binaries, as bytes.
        shape: Shape of one row; () for a scalar. None is a size that varies; such sizes come first.
        fill: What stands in place of nulls; None where nulls are errors.
        packed: dtype of the numbers that the binaries of the column hold; None for anything else.
        is_mask: Whether it becomes the mask that tells values from nulls, instead of the values.
    """

    name: str
    type: pa.DataType
    dtype: np.dtype
    shape: Shape
    fill: Any = None
    packed: np.dtype | None = None
    is_mask: bool = False

    # What every batch needs, and only the type and the shape decide.

    @cached_property
    def element(self) -> ElementType:
        """How the innermost elements are converted."""
        return _element(pa.field(self.name, self.type), self.packed)

    @cached_property
    def list_lengths(self) -> tuple[int | None, ...]:
        """The length of the lists of each level, from the outside; None for any."""
        return self._lengths[: list_depth(self.type)]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of one of the innermost elements: () unless it is a vector or matrix."""
        own = self._lengths[list_depth(self.type) :]
        return tuple(size for size in own if size is not None)

    @cached_property
    def ragged_rank(self) -> int:
        """How many of the row's sizes vary."""
        return self.shape.count(None)

    @cached_property
    def inner_shape(self) -> tuple[int, ...]:
        """The sizes that do not vary."""
        return tuple(size for size in self.shape if size is not None)

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return lengths_of_shape(self.shape, list_depth(self.type) + self.element.dimensions)


def column_spec(field: pa.Field, sample: pa.Array | None, options: Column) -> ColumnSpec:
    """Find the dtype and the shape of a column's rows.

    Where no shape is given, list lengths and the sizes of vectors and matrices are those of the
    first row of `sample` that is not null, or of the type itself for fixed_size_list. In a given
    shape the leading sizes are the lengths of the outer lists, and the innermost list or vector
    holds the product of all that remain: a list of 784 can be (28, 28, 1), a list of 28 lists of
    84 can be (28, 28, 3), a scalar can be (1,).

    Args:
        field: The column's name and Arrow type.
        sample: Some rows of the column, usually the node's first record batch.
        options: What the user asks for.

    Raises:
        UnsupportedColumnError: The type does not become a tensor, or not one of the dtype, or
            nothing tells the length of the lists.
        ShapeMismatchError: The shape does not fit the type or `sample`.
        ConfigurationError: The fill value is not an element of the tensor.
    """
    packed = _packed(field, options.dtype)
    element = _element(field, packed)
    found = lengths_found(field.type, element, sample)
    shape = given_shape(field, found, element, options.shape)
    if shape is None:
        shape = shape_found(field, found)
    dtype = _dtype(field, element.dtype(leaf_type(field.type)), options.dtype)
    fill = options.fill
    if fill is None and options.mask:
        fill = b"" if dtype == OBJECT else 0
    return ColumnSpec(field.name, field.type, dtype, shape, _filling(field, dtype, fill), packed)


def mask_spec(spec: ColumnSpec, name: str) -> ColumnSpec:
    """Return what the mask of a column becomes."""
    return replace(spec, name=name, dtype=np.dtype(np.bool_), is_mask=True)


def to_numpy(column: pa.Array, spec: ColumnSpec, where: RowLocator) -> np.ndarray | Ragged:
    """Convert a column to one array, or where its lists may have any length, to a ragged one.

    Decimals become the nearest float64, as with Spark's `cast("double")`. Timestamps become
    microseconds since 1970-01-01T00:00 UTC; one without time zone (Spark's `timestamp_ntz`) counts
    its wall clock as if it were UTC, and digits beyond microseconds are dropped. Dates become days
    since 1970-01-01. Strings become their UTF-8 bytes.

    Args:
        column: Any slice of an Arrow array with the type that `spec` was made for.
        spec: What the column becomes.
        where: Names a row of `column`, for messages.

    Returns:
        An array of shape (len(column), *spec.shape) and dtype spec.dtype, C-contiguous. It may be a
        read-only view of the column's memory, which it keeps alive.

    Raises:
        NullValueError: A row, or an element of a list, is null, and there is no fill value.
        RaggedColumnError: A list, vector or matrix has not the size that the shape asks for.
        UnsupportedColumnError: The type is another one than `spec` was made for.
    """
    if column.type != spec.type:
        raise UnsupportedColumnError(
            f"Column {spec.name!r} is of type {text(column.type)}, but {text(spec.type)} was "
            "expected. All batches of a feed must have one schema; cast the column in Spark."
        )
    levels = Levels(spec.name, spec.type, spec.shape, where, len(column))
    values = open_lists(column, spec.list_lengths, levels, nulls=spec.fill is not None)
    array = _elements(values, spec, levels).reshape(levels.rows_of_elements, *spec.inner_shape)
    return Ragged(array, tuple(levels.row_splits)) if spec.ragged_rank else array


def _elements(values: pa.Array, spec: ColumnSpec, levels: Levels) -> np.ndarray:
    """Return the elements in one run, shape (levels.places, *spec.sizes), with nulls filled."""
    sizes = spec.sizes
    if spec.is_mask:
        present = np.ones(levels.places, np.bool_) if levels.present is None else levels.present
        present = present.reshape(-1, *(1 for _ in sizes))
        return np.ascontiguousarray(np.broadcast_to(present, (levels.places, *sizes)))
    if len(values) == 0:
        array = np.empty((0, *sizes), spec.dtype)
    else:
        try:
            array = spec.element.convert(values, sizes).astype(spec.dtype, copy=False)
        except Misfit as misfit:
            raise levels.error(misfit) from misfit.__cause__
    if levels.present is None:
        return array
    filled = np.empty((levels.places, *sizes), spec.dtype)
    filled.fill(spec.fill)  # np.full drops zeros at the end of bytes
    filled[levels.present] = array
    return filled


def _element(field: pa.Field, packed: np.dtype | None) -> ElementType:
    return check_type(field) if packed is None else packed_type(packed)


def _packed(field: pa.Field, wanted: Any) -> np.dtype | None:
    """Return the dtype of the numbers in a column of binaries, where one was asked for."""
    dtype = _asked(field, wanted)
    numbers = dtype is not None and dtype.kind in "iuf" and dtype.isnative
    return dtype if numbers and is_binary(leaf_type(field.type)) else None


def _asked(field: pa.Field, wanted: Any) -> np.dtype | None:
    """Return the dtype that the user asks for, or None."""
    return None if wanted is None else np.dtype(wanted)


def _dtype(field: pa.Field, own: np.dtype, wanted: Any) -> np.dtype:
    dtype = _asked(field, wanted)
    if dtype is None:
        return own
    check_dtype(field, own, dtype)
    return dtype


def check_dtype(field: pa.Field, own: np.dtype, dtype: np.dtype) -> None:
    """Check that elements of a column may become others.

    Args:
        field: The column's name and Arrow type.
        own: dtype of its elements.
        dtype: What they should have.

    Raises:
        UnsupportedColumnError: It is neither floating nor holds every value.
    """
    numeric = OBJECT not in (own, dtype) and dtype.kind in "biuf"
    if not numeric or not (dtype.kind == "f" or np.can_cast(own, dtype)):
        raise UnsupportedColumnError(
            f"Column {field.name!r} of type {text(field.type)} has elements of dtype "
            f"{'string' if own == OBJECT else own}, which may not fit the requested dtype "
            f"{dtype}. Request a floating-point dtype or a larger one, or cast the column in Spark."
        )


def _filling(field: pa.Field, dtype: np.dtype, fill: Any) -> Any:
    """Return the fill value as an element of the tensor."""
    if fill is None:
        return None
    if dtype == OBJECT:
        value: Any = fill.encode() if isinstance(fill, str) else fill
        fits = isinstance(value, bytes)
    else:
        given = np.asarray(fill)
        fits = given.ndim == 0 and given.dtype.kind in "biuf"
        with np.errstate(all="ignore"):
            value = given.astype(dtype)[()] if fits else None
        # A float may be rounded, but nothing else may change.
        fits = fits and (dtype.kind == "f" or bool(value == given))
    if not fits:
        raise ConfigurationError(
            f"Column {field.name!r} of type {text(field.type)} cannot have the fill value "
            f"{fill!r}; use a value of type {'str or bytes' if dtype == OBJECT else dtype}."
        )
    return value
