"""A column's conversion, for tests of what columns become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.column_options import Column
from tensorsparkml.data.columns import column_spec, mask_spec, to_numpy
from tensorsparkml.data.ragged import Ragged


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
