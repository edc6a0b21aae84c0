"""What a model returns becomes a column of Spark's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.inference.arrays import to_arrow
from tensorsparkml.errors import DataError
from tensorsparkml.inference.outputs import Result


def to_column(
    returned: Any, results: Sequence[Result], types: Sequence[pa.DataType], rows: int
) -> pa.Array:
    """Return the results of a batch: a column, or a struct where there are several.

    Args:
        returned: An array of shape `(rows, ...)`, or a mapping to such arrays.
        results: What is to be made of them.
        types: Arrow types of the results.
        rows: How many rows there are; the arrays may have more, which are left out.

    Raises:
        DataError: They have fewer rows, or do not become the type.
    """
    columns = [
        _column(_find(returned, result), result, type_, rows)
        for result, type_ in zip(results, types, strict=True)
    ]
    if len(columns) == 1:
        return columns[0]
    return pa.StructArray.from_arrays(columns, names=[result.column for result in results])


def _find(returned: Any, result: Result) -> Any:
    if not isinstance(returned, Mapping):
        return returned
    if result.source not in returned:
        raise DataError(
            f"the model returned no output {result.source!r}; it returned "
            f"{', '.join(map(str, returned)) or 'nothing'}"
        )
    return returned[result.source]


def _column(values: Any, result: Result, type_: pa.DataType, rows: int) -> pa.Array:
    array = np.asarray(values)
    if array.ndim == 0 or len(array) < rows:
        raise DataError(
            f"the model returned {describe(array)} for output {result.source!r} and {rows} rows; "
            "it must return one element for each row"
        )
    found = _chosen(array[:rows], result)
    try:
        if isinstance(found, pa.Array):
            column = found.cast(type_)
        elif hasattr(found, "__array__"):
            column = _from_numpy(np.asarray(found), type_)
        else:
            column = pa.array(list(found), type_)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"output {result.column!r}, {describe(array)}, cannot become {result.type}: {error}; "
            "give it another type, as in tsm.Output(type=…)"
        ) from error
    if column is None or len(column) != rows:
        what = describe(np.asarray(found)) if column is None else f"{len(column)} rows"
        raise DataError(
            f"output {result.column!r} has {what} for {rows} rows, and cannot become "
            f"{result.type}; give it another type, as in tsm.Output(type=…)"
        )
    return column


def _from_numpy(values: np.ndarray, type_: pa.DataType) -> pa.Array | None:
    if values.dtype.kind == "V":  # bfloat16, which NumPy does not know
        values = values.astype(np.float32)
    return to_arrow(values, type_)


def _chosen(array: np.ndarray, result: Result) -> Any:
    output = result.output
    if output.argmax:
        return np.argmax(array, axis=-1)
    if output.top_k is not None:
        return top_k(array, output.top_k)
    return array if output.function is None else output.function(array)


def top_k(array: np.ndarray, count: int) -> pa.Array:
    """Return index and value of the largest values along the last axis, the largest first.

    Args:
        array: Shape `(..., n)`.
        count: How many; all, where there are not so many.
    """
    count = min(count, array.shape[-1])
    # Of equal values the first comes first, as with argmax.
    last = array.shape[-1] - 1
    backwards = np.argsort(array[..., ::-1], axis=-1, kind="stable")
    order = last - backwards[..., ::-1][..., :count]
    values = np.take_along_axis(array, order, axis=-1)
    found: pa.Array = pa.StructArray.from_arrays(
        [pa.array(order.reshape(-1)), pa.array(values.reshape(-1))], names=["index", "value"]
    )
    for size in reversed(order.shape[1:]):
        offsets = np.arange(len(found) // max(size, 1) + 1, dtype=np.int32) * size
        found = pa.ListArray.from_arrays(pa.array(offsets), found)
    return found


def describe(array: np.ndarray) -> str:
    """Describe an array in a message."""
    return f"an array of {array.dtype} of shape {array.shape}"
