"""Turns a program's reply to a batch into a record batch of the driver's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.errors import DataError, MissingColumnError, NullValueError, ShapeMismatchError

_SCHEMA = "the schema given to cluster.inference"


def to_record_batch(results: Any, schema: pa.Schema) -> pa.RecordBatch:
    """Return the results as a record batch.

    Args:
        results: Columns by name: NumPy arrays of shape `(rows, ...)`, tensors, or lists of `rows`
            values; or a record batch.
        schema: Names and types of the columns.

    Raises:
        DataError: A column is missing, is not in the schema, or does not become its type.
    """
    if isinstance(results, pa.RecordBatch):
        results = {name: results.column(name) for name in results.schema.names}
    elif not isinstance(results, Mapping):
        raise DataError(
            f"a reply must be a dict of columns or a pyarrow.RecordBatch, not a "
            f"{type(results).__qualname__}; reply with {{{schema.names[0]!r}: ...}}"
        )
    found = ", ".join(map(str, results)) or "no columns"
    for name in schema.names:
        if name not in results:
            raise MissingColumnError(
                f"the reply lacks column {name!r} of {_SCHEMA}; it has {found}"
            )
    for name in results:
        if name not in schema.names:
            raise DataError(
                f"the reply has a column {name!r}, but {_SCHEMA} has {', '.join(schema.names)}; "
                "add the column to the schema, or leave it out"
            )
    columns = {field.name: _column(field, results[field.name]) for field in schema}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise DataError(f"the columns of the reply have different numbers of rows: {listed}")
    return pa.record_batch(list(columns.values()), schema=schema)


def _column(field: pa.Field, values: Any) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    try:
        if isinstance(values, pa.Array):
            column = values.cast(field.type)
        elif hasattr(values, "__array__"):
            column = _from_numpy(field, np.asarray(values))
        else:
            column = pa.array(list(values), field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"column {field.name!r} of the reply, {_describe(values)}, cannot become "
            f"{field.type} of {_SCHEMA}: {error}; change the schema or the reply"
        ) from error
    if column.null_count and not field.nullable:
        raise NullValueError(
            f"column {field.name!r} of the reply has a null, but {_SCHEMA} does not allow nulls"
        )
    return column


def _from_numpy(field: pa.Field, values: np.ndarray) -> pa.Array:
    """Return an array of shape `(rows, ...)`; each dimension but the first is a list."""
    depth, inner = 0, field.type
    while _is_list(inner):
        depth, inner = depth + 1, inner.value_type
    if values.ndim == 0 or values.dtype == object:
        return pa.array(values.tolist(), field.type)
    rows, shape = values.shape[0], values.shape[1:]
    if len(shape) != depth:
        # A column of a matrix of one, which models with one output give.
        shape = tuple(size for size in shape if size != 1)
        shape = (1,) * (depth - len(shape)) + shape if len(shape) < depth <= 1 else shape
    if len(shape) != depth:
        raise ShapeMismatchError(
            f"column {field.name!r} of the reply has shape {values.shape}, but {field.type} of "
            f"{_SCHEMA} has {depth} dimensions besides the rows; reshape the values, or change the "
            "schema"
        )
    flat = pa.array(np.ascontiguousarray(values).reshape(-1)).cast(inner)
    return _nested(field.type, flat, rows, shape)


def _nested(type_: pa.DataType, flat: pa.Array, rows: int, shape: tuple[int, ...]) -> pa.Array:
    if not shape:
        return flat
    values = _nested(type_.value_type, flat, rows * shape[0], shape[1:])
    offsets = np.arange(rows + 1, dtype=np.int64) * shape[0]
    if pa.types.is_large_list(type_):
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=type_)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=type_)


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _describe(values: Any) -> str:
    if hasattr(values, "dtype") and hasattr(values, "shape"):
        return f"an array of {values.dtype} of shape {tuple(values.shape)}"
    if isinstance(values, pa.Array):
        return f"an Arrow array of {values.type}"
    return f"a {type(values).__qualname__}"
