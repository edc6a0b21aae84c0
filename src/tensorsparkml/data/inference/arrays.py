"""NumPy arrays → Arrow columns: each dimension but the first becomes a list."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def to_arrow(values: np.ndarray, type_: pa.DataType) -> pa.Array | None:
    """Return an array as a column, or None if it has not the dimensions of the type.

    Sizes of 1 are left out, or added, where a column of numbers or of flat lists needs that: models
    with one output give a matrix with one column.

    Args:
        values: Shape `(rows, ...)`.
        type_: The column's type.

    Raises:
        pa.ArrowException: The values do not become the innermost type.
    """
    depth, inner = 0, type_
    while is_list(inner):
        depth, inner = depth + 1, inner.value_type
    if values.dtype == object and values.ndim - 1 > depth:
        inside = [size for size in values.shape[1:] if size != 1]
        values = values.reshape(len(values), *inside)
    if values.ndim == 0 or values.dtype == object:
        return pa.array(values.tolist(), type_)
    rows, shape = values.shape[0], values.shape[1:]
    if len(shape) != depth:
        shape = tuple(size for size in shape if size != 1)
        shape = (1,) * (depth - len(shape)) + shape if len(shape) < depth <= 1 else shape
    if len(shape) != depth:
        return None
    flat = pa.array(np.ascontiguousarray(values).reshape(-1)).cast(inner)
    return _nested(type_, flat, rows, shape)


def _nested(type_: pa.DataType, flat: pa.Array, rows: int, shape: tuple[int, ...]) -> pa.Array:
    if not shape:
        return flat
    values = _nested(type_.value_type, flat, rows * shape[0], shape[1:])
    offsets = np.arange(rows + 1, dtype=np.int64) * shape[0]
    if pa.types.is_large_list(type_):
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=type_)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=type_)


def is_list(type_: pa.DataType) -> bool:
    """Return whether a type is that of lists of any length."""
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))
