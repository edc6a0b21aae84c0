"""Turns a program's reply to a batch into a record batch of the driver's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.types import list_depth
from tensorsparkml.data.inference.arrays import to_arrow
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
    column = to_arrow(values, field.type)
    if column is None:
        depth = list_depth(field.type)
        raise ShapeMismatchError(
            f"column {field.name!r} of the reply has shape {values.shape}, but {field.type} of "
            f"{_SCHEMA} has {depth} dimensions besides the rows; reshape the values, or change the "
            "schema"
        )
    return column


def _describe(values: Any) -> str:
    if hasattr(values, "dtype") and hasattr(values, "shape"):
        return f"an array of {values.dtype} of shape {tuple(values.shape)}"
    if isinstance(values, pa.Array):
        return f"an Arrow array of {values.type}"
    return f"a {type(values).__qualname__}"
