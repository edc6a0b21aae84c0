"""A column's conversion, for tests of what columns become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tensorsparkml.data.columns.convert import column_spec, mask_spec, to_numpy
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.errors import DataError

NUMBERS: dict[pa.DataType, Any] = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.uint8(): np.uint8,
    pa.uint16(): np.uint16,
    pa.uint32(): np.uint32,
    pa.uint64(): np.uint64,
    pa.float16(): np.float16,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
}
LISTS: dict[str, Callable[[pa.DataType, int], pa.DataType]] = {
    "list": lambda inner, size: pa.list_(inner),
    "large_list": lambda inner, size: pa.large_list(inner),
    "fixed_size_list": pa.list_,
}
EMPTY_SHAPES = {
    pa.int32(): (),
    pa.bool_(): (),
    pa.string(): (),
    pa.binary(): (),
    pa.decimal128(10, 2): (),
    pa.date32(): (),
    pa.timestamp("us", "UTC"): (),
    pa.list_(pa.float32()): (2, 3),
    pa.large_list(pa.bool_()): (4,),
    pa.list_(pa.int8(), 6): (2, 3),
    pa.list_(pa.list_(pa.float64())): (2, 3),
}


def where(row: int) -> str:
    """Name a row as a feed would."""
    return f"row {row + 100} of partition 3"


def convert(column: pa.Array, shape: tuple[int | None, ...] | None = None, **options: Any) -> Any:
    """Convert a column named `x` as a feed would, checking what holds for every result."""
    spec = column_spec(pa.field("x", column.type), column, Column(shape=shape, **options))
    found = to_numpy(column, spec, where)
    if spec.ragged_rank:
        assert isinstance(found, Ragged)
        assert found.values.shape[1:] == spec.inner_shape
        assert len(found.row_splits) == spec.ragged_rank
        assert [splits.dtype for splits in found.row_splits] == [np.int64] * spec.ragged_rank
        assert len(found.row_splits[0]) == len(column) + 1
        assert found.values.dtype == spec.dtype
    else:
        assert isinstance(found, np.ndarray)
        assert found.shape == (len(column), *spec.shape)
        assert (found.dtype, found.flags.c_contiguous) == (spec.dtype, True)
    return found


def mask(column: pa.Array, **options: Any) -> Any:
    """Convert it to the mask that tells values from nulls."""
    spec = column_spec(pa.field("x", column.type), column, Column(mask=True, **options))
    return to_numpy(column, mask_spec(spec, "x_mask"), where)


def assert_refused(error: type[DataError], call: Callable[[], object], *parts: str) -> str:
    """Require that a call raises just this error with all these parts, and return its message."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert type(caught.value) is error
    return message


def address(array: np.ndarray) -> int:
    """Return where an array's values lie."""
    return int(array.__array_interface__["data"][0])
