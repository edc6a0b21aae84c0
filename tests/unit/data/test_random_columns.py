"""Random columns and slices of them convert as their Python values say."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conversion import (
    LISTS,
    NUMBERS,
    assert_refused,
    convert,
    where,
)

from tensorsparkml.data.columns.convert import column_spec, to_numpy
from tensorsparkml.data.columns.options import Column
from tensorsparkml.errors import (
    DataError,
    NullValueError,
    RaggedColumnError,
)

UTC = datetime.UTC


SCALARS: list[tuple[pa.DataType, st.SearchStrategy[Any], Callable[[Any], Any]]] = [
    (pa.bool_(), st.booleans(), bool),
    *(
        (
            pa.from_numpy_dtype(dtype),
            hnp.from_dtype(np.dtype(dtype), allow_nan=False),
            lambda v: v,
        )
        for dtype in NUMBERS.values()
    ),
    (pa.decimal128(20, 4), st.decimals(-(10**15), 10**15, places=4), float),
    (pa.date32(), st.dates(), lambda v: v.toordinal() - 719163),
    (
        pa.timestamp("us", "UTC"),
        st.datetimes(timezones=st.just(UTC)),
        lambda v: (v - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(0, 0, 1),
    ),
]
TEXTS: list[tuple[pa.DataType, st.SearchStrategy[Any], Callable[[Any], Any]]] = [
    (pa.string(), st.text(), str.encode),
    (pa.large_string(), st.text(), str.encode),
    (pa.binary(), st.binary(), bytes),
    (pa.large_binary(), st.binary(), bytes),
]


def _nested(leaf: Callable[[Any], Any], depth: int, value: Any) -> Any:
    return leaf(value) if depth == 0 else [_nested(leaf, depth - 1, item) for item in value]


@given(st.data(), st.sampled_from(SCALARS + TEXTS))
def test_random_slices_of_scalars(data: st.DataObject, case: tuple[Any, ...]) -> None:
    type_, elements, expected = case
    rows = data.draw(st.lists(st.none() | elements, max_size=20))
    start = data.draw(st.integers(0, len(rows)))
    column = pa.array(rows, type_).slice(start, data.draw(st.integers(0, len(rows))))
    _check_against_pylist(column, expected, ())


@given(
    st.data(),
    st.sampled_from(SCALARS + TEXTS),
    st.lists(st.tuples(st.sampled_from(sorted(LISTS)), st.integers(0, 3)), min_size=1, max_size=3),
)
def test_random_slices_of_lists(
    data: st.DataObject, case: tuple[Any, ...], levels: list[tuple[str, int]]
) -> None:
    type_, elements, expected = case
    for kind, size in reversed(levels):
        type_ = LISTS[kind](type_, size)
        elements = st.lists(elements, min_size=size, max_size=size)
    rows = data.draw(st.lists(elements, max_size=8))
    # Rows outside of the slice may be null, so that offsets and validity matter.
    head = data.draw(st.lists(st.none() | elements, max_size=3))
    tail = data.draw(st.lists(st.none() | elements, max_size=3))
    column = pa.array(head + rows + tail, type_).slice(len(head), len(rows))
    _check_against_pylist(column, expected, tuple(size for _, size in levels))


def _check_against_pylist(
    column: pa.Array, leaf: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    rows = column.to_pylist()
    if None in rows:
        first = f"is null in row {rows.index(None) + 100} of"
        assert_refused(NullValueError, lambda: convert(column, shape), first)
    else:
        array = convert(column, shape)
        assert array.shape == (len(rows), *shape)
        # A shape with a zero has no values, and tolist() then stops at that dimension.
        assert 0 in shape or array.tolist() == _nested(leaf, len(shape) + 1, rows)


@given(st.lists(st.lists(st.none() | st.integers(0, 9), max_size=3) | st.none(), min_size=1))
def test_random_lists_convert_or_name_the_right_row(rows: list[Any]) -> None:
    column = pa.array(rows, pa.list_(pa.int64()))
    spec = column_spec(pa.field("x", column.type), None, Column((2,)))
    nulls = [index for index, row in enumerate(rows) if row is None]
    ragged = [index for index, row in enumerate(rows) if row is not None and len(row) != 2]
    inner = [index for index, row in enumerate(rows) if row is not None and None in row]
    if nulls:
        expected: tuple[type[DataError], int] = (NullValueError, nulls[0])
    elif ragged:
        expected = (RaggedColumnError, ragged[0])
    elif inner:
        expected = (NullValueError, inner[0])
    else:
        assert to_numpy(column, spec, where).tolist() == rows
        return
    error, row = expected
    assert_refused(error, lambda: to_numpy(column, spec, where), f"row {row + 100} of partition 3")
