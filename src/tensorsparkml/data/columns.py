"""Arrow columns to NumPy arrays that are ready to become tensors.

A row has a fixed shape: lists must have the same length in every row, and nothing may be null.
The arrays are views of Arrow's memory, and then read-only, wherever the two layouts agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.column_types import (
    check_type,
    element_dtype,
    elements,
    is_list,
    leaf_type,
    list_depth,
    spark_zero,
    text,
)
from tensorsparkml.errors import (
    NullValueError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)

__all__ = ["ColumnSpec", "RowLocator", "check_type", "column_spec", "to_numpy"]

RowLocator = Callable[[int], str]
"""Names a row by its offset in the column, for messages: `row 17 of partition 3`."""


@dataclass(frozen=True)
class ColumnSpec:
    """What a column becomes.

    Attributes:
        name: The column's name.
        dtype: NumPy dtype of its elements; object for strings and binaries, as bytes.
        shape: Shape of one row; () for a scalar.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]


def column_spec(
    field: pa.Field, sample: pa.Array | None, shape: tuple[int, ...] | None
) -> ColumnSpec:
    """Find the dtype and the shape of a column's rows.

    Without `shape`, list lengths are those of the first row of `sample` that is not null, or of
    the type itself for fixed_size_list. With `shape`, the leading dimensions are the lengths of
    the outer lists, and the innermost list holds the product of all that remain: a list of 784
    can be (28, 28, 1), a list of 28 lists of 84 can be (28, 28, 3), a scalar can be (1,).

    Args:
        field: The column's name and Arrow type.
        sample: Some rows of the column, usually the first batch that has any.
        shape: Shape of one row that the user asks for, without the batch dimension.

    Raises:
        UnsupportedColumnError: The type does not become a tensor, or neither `sample`, `shape` nor
            the type tells the length of the lists.
        ShapeMismatchError: `shape` does not fit the lists of the type or of `sample`.
    """
    check_type(field)
    dtype = element_dtype(leaf_type(field.type))
    assert dtype is not None  # check_type
    found = _list_lengths(field.type, sample)
    if shape is None:
        if 0 in found:
            # Lists inside an empty list have no length; any will do.
            inside = found.index(0) + 1
            found[inside:] = [length or 0 for length in found[inside:]]
        known = tuple(length for length in found if length is not None)
        if len(known) < len(found):
            raise UnsupportedColumnError(
                f"Column {field.name!r} of type {text(field.type)} has lists of unknown length, "
                "since there is no row to take it from. Give the column's shape."
            )
        return ColumnSpec(field.name, dtype, known)
    if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in shape):
        raise ShapeMismatchError(
            f"Column {field.name!r} was given the shape {shape}. Give the sizes of one row as "
            "integers that are not negative, without the batch dimension."
        )
    spec = ColumnSpec(field.name, dtype, tuple(int(size) for size in shape))
    _check_lengths_fit(field.type, spec, found)
    return spec


def to_numpy(column: pa.Array, spec: ColumnSpec, where: RowLocator) -> np.ndarray:
    """Convert a column to one dense array.

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
        NullValueError: A row, or an element of a list, is null.
        RaggedColumnError: A list has not the length that the shape asks for.
        ShapeMismatchError: The type's nesting or fixed size contradicts the shape.
        UnsupportedColumnError: The type is another one than `spec` was made for.
    """
    check_type(pa.field(spec.name, column.type))
    if element_dtype(leaf_type(column.type)) != spec.dtype:
        raise UnsupportedColumnError(
            f"Column {spec.name!r} is of type {text(column.type)}, but elements of dtype "
            f"{spec.dtype} were expected. All batches of a feed must have one schema; cast the "
            "column in Spark."
        )
    _check_lengths_fit(column.type, spec, _list_lengths(column.type, None))
    rows = len(column)
    if rows == 0:
        # Arrow may leave the buffers of an empty array out; its flatten() does not survive that.
        return np.empty((0, *spec.shape), spec.dtype)
    lengths = _lengths_of_shape(spec.shape, list_depth(column.type))
    values = column
    for level, length in enumerate(lengths):
        _check_not_null(values, column.type, spec, lengths[:level], where)
        _check_not_ragged(values, column.type, spec, lengths[: level + 1], where)
        if length == 0:
            return np.empty((rows, *spec.shape), spec.dtype)
        values = values.flatten()
    _check_not_null(values, column.type, spec, lengths, where)
    return elements(values, spec.name).reshape(rows, *spec.shape)


def _lengths_of_shape(shape: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """Return the length that each of `depth` nested lists has in a row of this shape."""
    if depth == 0:
        return ()
    return (*shape[: depth - 1], math.prod(shape[depth - 1 :]))


def _list_lengths(type_: pa.DataType, sample: pa.Array | None) -> list[int | None]:
    """Return the length of every nested list in the first row with a value; None if unknown."""
    lengths: list[int | None] = []
    while is_list(type_):
        first = None
        if sample is not None and len(sample) > 0:
            index = pc.index(sample.is_valid(), True).as_py()
            first = sample[index].values if index >= 0 else None
        if pa.types.is_fixed_size_list(type_):
            lengths.append(type_.list_size)
        elif first is not None:
            lengths.append(len(first))
        else:
            lengths.append(None)
        sample, type_ = first, type_.value_type
    return lengths


def _check_lengths_fit(type_: pa.DataType, spec: ColumnSpec, found: list[int | None]) -> None:
    """Check a shape against the lengths of the nested lists, as far as these are known."""
    kind = f"Column {spec.name!r} of type {text(type_)}"
    depth = len(found)
    if depth == 0:
        if math.prod(spec.shape) != 1:
            raise ShapeMismatchError(
                f"{kind} holds 1 value per row, but the shape {spec.shape} needs "
                f"{math.prod(spec.shape)}. Give the shape () or (1,), or none."
            )
        return
    if len(spec.shape) < depth:
        raise ShapeMismatchError(
            f"{kind} has lists of depth {depth}, but the shape {spec.shape} has depth "
            f"{len(spec.shape)}. Give a size for every level of lists, or flatten(col) in Spark."
        )
    needed = _lengths_of_shape(spec.shape, depth)
    if any(length not in (None, size) for length, size in zip(found, needed, strict=True)):
        raise ShapeMismatchError(
            f"{kind} has lists of {_times(found)} values, but the shape {spec.shape} needs "
            f"{_times(needed)}. Give a shape with as many values, or change the lists in Spark."
        )


def _times(lengths: list[int | None] | tuple[int, ...]) -> str:
    return " x ".join("?" if length is None else str(length) for length in lengths)


def _check_not_null(
    values: pa.Array,
    type_: pa.DataType,
    spec: ColumnSpec,
    outer: tuple[int, ...],
    where: RowLocator,
) -> None:
    """Check one level of a column, whose lists outside of it have the lengths `outer`."""
    if values.null_count == 0:
        return
    first = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
    row, element = _position(first, outer)
    if element:
        what, advice = (
            f"has a null element {element}",
            "replace the nulls, for example with "
            f"transform(col, lambda e: coalesce(e, {spark_zero(leaf_type(type_))})), "
            "or keep the rows that have none",
        )
    else:
        what, advice = (
            "is null",
            f"drop such rows with df.dropna(subset=[{spec.name!r}]), or replace the nulls with "
            "df.fillna(...) or coalesce(col, ...)",
        )
    raise NullValueError(
        f"Column {spec.name!r} of type {text(type_)} {what} in {where(row)}, and tensors have no "
        f"nulls. In Spark, {advice}."
    )


def _check_not_ragged(
    values: pa.Array,
    type_: pa.DataType,
    spec: ColumnSpec,
    lengths: tuple[int, ...],
    where: RowLocator,
) -> None:
    """Check that every list of one level has the last of `lengths`; the rest is outside of it."""
    if pa.types.is_fixed_size_list(values.type):
        return
    *outer, expected = lengths
    found = np.diff(values.offsets.to_numpy())
    wrong = found != expected
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    row, element = _position(first, tuple(outer))
    padding = f"array_repeat({spark_zero(leaf_type(type_))}, {expected})"
    raise RaggedColumnError(
        f"Column {spec.name!r} of type {text(type_)} has a list of length {found[first]} in "
        f"{f'element {element} of ' if element else ''}{where(row)}; {expected} is expected for "
        f"the shape {spec.shape}. All lists must have the same length. In Spark, pad and cut them, "
        f"for example with slice(concat(col, {padding}), 1, {expected})"
        f"{' inside transform(col, ...)' if element else ''}, or keep the rows of the right length "
        "with size(col)."
    )


def _position(flat: int, outer: tuple[int, ...]) -> tuple[int, str]:
    """Split an offset into flattened values into the row and the element: (17, "[3][0]")."""
    element = []
    for length in reversed(outer):
        flat, index = divmod(flat, length)
        element.append(f"[{index}]")
    return flat, "".join(reversed(element))
