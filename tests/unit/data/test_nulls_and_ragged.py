"""Nulls that are filled and masked, lists of any length, and requested dtypes."""

from __future__ import annotations

import datetime
import decimal
import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conversion import convert, mask, where

from tensorsparkml.data.columns.convert import column_spec, mask_spec, to_numpy
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.columns.ragged import Ragged, concatenate
from tensorsparkml.errors import (
    ConfigurationError,
    NullValueError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)


def lists(ragged: Ragged) -> list[Any]:
    """The rows as nested lists."""
    rows: list[Any] = ragged.values.tolist()
    for splits in reversed(ragged.row_splits):
        rows = [rows[start:end] for start, end in itertools.pairwise(splits)]
    return rows


# Nulls

FILLED = [
    (pa.array([1, None, 3], pa.int16()), 7, [1, 7, 3]),
    (pa.array([1.5, None]), -1, [1.5, -1.0]),
    (pa.array([True, None, False]), True, [True, True, False]),
    (pa.array(["a", None, "ü"]), "né", [b"a", "né".encode(), "ü".encode()]),
    (pa.array([b"a", None]), b"\0", [b"a", b"\0"]),
    (pa.array([decimal.Decimal("1.10"), None]), 0.5, [1.1, 0.5]),
    (pa.array([None, datetime.date(1970, 1, 2)]), -1, [-1, 1]),
    (pa.array([None, 5], pa.timestamp("us", "UTC")), 0, [0, 5]),
    (pa.array([[1, None], None, [3, 4]]), 9, [[1, 9], [9, 9], [3, 4]]),
    (pa.array([["a", None], None]), "", [[b"a", b""], [b"", b""]]),
    (pa.array([[[1], None], [[None], [4]], None]), 0, [[[1], [0]], [[0], [4]], [[0], [0]]]),
    (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), 3, [[1, 2], [3, 3]]),
    (pa.nulls(2, pa.int8()), 4, [4, 4]),
]


@pytest.mark.parametrize(("column", "fill", "expected"), FILLED, ids=lambda value: str(value)[:30])
def test_nulls_are_filled(column: pa.Array, fill: Any, expected: list[Any]) -> None:
    assert convert(column, fill=fill).tolist() == expected
    for start in range(len(column)):
        if not column.slice(start, 1).null_count or not pa.types.is_nested(column.type):
            assert convert(column.slice(start), fill=fill).tolist() == expected[start:]


def test_values_without_nulls_are_views_though_a_fill_value_is_given() -> None:
    column = pa.array([1.0, 2.0, None]).slice(0, 2)
    address = column.buffers()[1].address
    assert convert(column, fill=0).__array_interface__["data"][0] == address


def test_mask_without_a_fill_value_fills_zeros() -> None:
    assert convert(pa.array([1.5, None]), mask=True).tolist() == [1.5, 0.0]
    assert convert(pa.array(["a", None]), mask=True).tolist() == [b"a", b""]
    assert convert(pa.array([True, None]), mask=True).tolist() == [True, False]


def test_mask_is_true_where_there_is_a_value() -> None:
    assert mask(pa.array([1, None, 3])).tolist() == [True, False, True]
    assert mask(pa.array([1, 2])).tolist() == [True, True]
    column = pa.array([[1, None], None, [3, 4]])
    assert mask(column, fill=9).tolist() == [[True, False], [False, False], [True, True]]
    assert mask(column, shape=(2, 1)).shape == (3, 2, 1)
    assert mask(pa.array([], pa.int8())).shape == (0,)


@pytest.mark.parametrize(
    ("type_", "fill"),
    [
        (pa.int32(), 0.5),
        (pa.int8(), 1000),
        (pa.int32(), "0"),
        (pa.string(), 0),
        (pa.bool_(), 2),
    ],
    ids=str,
)
def test_fill_values_that_are_no_element(type_: pa.DataType, fill: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"'x' of type .* cannot have the fill value"):
        convert(pa.nulls(1, type_), fill=fill)


def test_fill_value_of_the_requested_dtype() -> None:
    column = pa.array([1, None])
    assert convert(column, dtype="float32", fill=0.5).tolist() == [1.0, 0.5]
    assert np.isnan(convert(column, dtype="float32", fill=float("nan"))[1])


def test_without_a_fill_value_the_error_says_how_to_give_one() -> None:
    with pytest.raises(NullValueError, match=r"convert=\{'x': tsm.Column\(fill=...\)\}"):
        convert(pa.array([1, None]))


def test_the_length_of_lists_is_needed_where_the_first_is_null() -> None:
    with pytest.raises(UnsupportedColumnError, match="Give the column's shape"):
        convert(pa.array([None], pa.list_(pa.int8())), fill=0)
    column = pa.array([None], pa.list_(pa.int8()))
    assert convert(column, fill=0, shape=(2,)).tolist() == [[0, 0]]


def test_a_length_that_is_wrong_is_named_with_its_row_among_nulls() -> None:
    column = pa.array([None, [1, 2], None, [3], [4, 5]])
    with pytest.raises(RaggedColumnError, match="length 1 in row 103 of"):
        convert(column, fill=0)
    nested = pa.array([None, [None, [1]], [[1], [2, 3]]])
    with pytest.raises(RaggedColumnError, match=r"length 2 in element \[1\] of row 102 of"):
        convert(nested, fill=0, shape=(2, 1))


# Lists of any length


def test_ragged_lists() -> None:
    column = pa.array([[9], [1, 2], [], [3]], pa.list_(pa.int32())).slice(1)
    found = convert(column, shape=(None,))
    assert found.values.tolist() == [1, 2, 3]
    assert [splits.tolist() for splits in found.row_splits] == [[0, 2, 2, 3]]
    assert found.values.__array_interface__["data"][0] == column.values.buffers()[1].address + 4


@pytest.mark.parametrize(
    ("shape", "inner"),
    [((None, 2), ()), ((None, 2, 1), ()), ((None, None), ()), ((None, 1, 2), ())],
)
def test_ragged_lists_of_lists(shape: Any, inner: Any) -> None:
    column = pa.array([[[1, 2], [3, 4]], [], [[5, 6]]])
    found = convert(column, shape=shape)
    assert found.values.reshape(-1).tolist() == [1, 2, 3, 4, 5, 6]
    assert found.row_splits[0].tolist() == [0, 2, 2, 3]
    if shape == (None, None):
        assert lists(found) == column.to_pylist()


def test_ragged_lists_of_strings() -> None:
    found = convert(pa.array([["a"], [], ["b", "ü"]]), shape=(None,))
    assert lists(found) == [[b"a"], [], [b"b", "ü".encode()]]


def test_ragged_lists_with_nulls() -> None:
    column = pa.array([[1, None], None, [], [2]])
    with pytest.raises(NullValueError, match="is null in row 101"):
        convert(column, shape=(None,))
    with pytest.raises(NullValueError, match=r"null element \[1\] in row 100"):
        convert(column.slice(0, 1), shape=(None,))
    assert lists(convert(column, shape=(None,), fill=7)) == [[1, 7], [], [], [2]]
    assert lists(mask(column, shape=(None,))) == [[True, False], [], [], [True]]


def test_errors_inside_of_ragged_lists_name_the_element() -> None:
    column = pa.array([[[1, 2]], [], [[3, 4], [5]]])
    with pytest.raises(RaggedColumnError, match=r"length 1 in element \[1\] of row 102 of"):
        convert(column, shape=(None, 2))
    nulls = pa.array([[[1, 2]], [], [[3, 4], [5, None]]])
    with pytest.raises(NullValueError, match=r"null element \[1\]\[1\] in row 102 of"):
        convert(nulls, shape=(None, None))


def test_no_rows_of_ragged_lists() -> None:
    for type_, shape in [
        (pa.list_(pa.int8()), (None,)),
        (pa.list_(pa.list_(pa.int8())), (None, 2)),
    ]:
        found = convert(pa.array([], type_), shape=shape)
        assert found.row_splits[0].tolist() == [0]
        assert len(found.values) == 0


@pytest.mark.parametrize(
    ("type_", "shape", "message"),
    [
        (pa.list_(pa.int8()), (None, 28), r"cannot be divided. Use the shape \(None,\)"),
        (pa.list_(pa.list_(pa.int8())), (2, None), "come first"),
        (pa.list_(pa.int8()), (None, None), "levels is 1"),
        (pa.int8(), (None,), "levels is 0"),
        (pa.list_(pa.list_(pa.int8())), (None,), "depth 2"),
    ],
)
def test_ragged_shapes_that_cannot_be(type_: pa.DataType, shape: Any, message: str) -> None:
    with pytest.raises(ShapeMismatchError, match=message):
        column_spec(pa.field("x", type_), None, Column(shape=shape))


def test_lists_of_another_length_are_refused_with_the_way_out() -> None:
    with pytest.raises(RaggedColumnError, match=r"tsm.Column\(shape=\(None,\)\)"):
        convert(pa.array([[1], [1, 2]]))


# Any nesting, with and without nulls, against the same in Python

LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any], Any]] = [
    (pa.int64(), st.integers(-9, 9), 77),
    (pa.bool_(), st.booleans(), True),
    (pa.float32(), st.sampled_from([0.5, -1.0]), 77.0),
    (pa.binary(), st.binary(max_size=2), b"fill"),
]
ABSENT = object()


@st.composite
def nested(draw: st.DrawFn) -> tuple[pa.DataType, list[int | None], list[Any], Any]:
    """A type, a shape (None comes first), rows with nulls, and the fill value."""
    type_, values, fill = draw(st.sampled_from(LEAVES))
    values = values | st.none()
    ragged = draw(st.integers(0, 2))
    shape = [None] * ragged + draw(st.lists(st.integers(0, 2), max_size=2))
    for size in reversed(shape):
        type_ = draw(st.sampled_from([pa.list_, pa.large_list]))(type_)
        low, high = (0, 3) if size is None else (size, size)
        values = st.none() | st.lists(values, min_size=low, max_size=high)
    return type_, shape, draw(st.lists(values, max_size=6)), fill


def expected(row: Any, shape: list[int | None], fill: Any) -> Any:
    """What a row becomes, one element after the other; for `fill` ABSENT, its mask."""
    if not shape:
        if fill is ABSENT:
            return row is not None
        return fill if row is None else row
    size, *inner = shape
    items = row if row is not None else [None] * (size or 0)
    return [expected(item, inner, fill) for item in items]


@settings(max_examples=300)
@given(st.data(), nested())
def test_any_nesting_is_what_python_computes(data: st.DataObject, case: Any) -> None:
    type_, shape, rows, fill = case
    start = data.draw(st.integers(0, len(rows)))
    column = pa.array([None, *rows], type_).slice(1 + start)
    spec = column_spec(pa.field("x", type_), column, Column(tuple(shape), fill=fill, mask=True))
    for each, value in ((spec, fill), (mask_spec(spec, "x_mask"), ABSENT)):
        found = to_numpy(column, each, where)
        wanted = [expected(row, shape, value) for row in rows[start:]]
        if spec.ragged_rank:
            assert isinstance(found, Ragged)
            assert found.values.shape[1:] == spec.inner_shape
            # What has no elements is an empty list at whatever depth.
            assert 0 in shape or lists(found) == wanted
        else:
            assert found.shape == (len(rows) - start, *shape)
            assert 0 in shape or found.tolist() == wanted


@given(
    st.lists(st.lists(st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2), max_size=3))
)
def test_ragged_parts_are_put_together(parts: list[list[Any]]) -> None:
    type_ = pa.list_(pa.list_(pa.int64()))
    parts = [*parts, []]
    found = [convert(pa.array(part, type_), shape=(None, None)) for part in parts]
    assert lists(concatenate(found)) == [row for part in parts for row in part]


# dtype


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (pa.array([1.1, 2.2]), "float32"),
        (pa.array([1.5]), np.float16),
        (pa.array([1, 2], pa.int8()), "int64"),
        (pa.array([1, 2], pa.int64()), "float32"),
        (pa.array([True, False]), "float32"),
        (pa.array([True, False]), "uint8"),
        (pa.array([decimal.Decimal("1.25")]), "float32"),
        (pa.array([1, 2], pa.uint8()), "int32"),
    ],
    ids=str,
)
def test_requested_dtypes(column: pa.Array, dtype: Any) -> None:
    found = convert(column, dtype=dtype)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, convert(column).astype(dtype))


@pytest.mark.parametrize(
    ("type_", "dtype"),
    [
        (pa.int64(), "int32"),
        (pa.float32(), "int64"),
        (pa.int8(), "uint8"),
        (pa.string(), "float32"),
        (pa.int8(), "bool"),
        (pa.int8(), "str"),
        (pa.int8(), object),
        (pa.int8(), "complex64"),
    ],
    ids=str,
)
def test_dtypes_that_do_not_hold_every_value(type_: pa.DataType, dtype: Any) -> None:
    with pytest.raises(
        UnsupportedColumnError, match=r"'x'.* may not fit the requested dtype.*cast"
    ):
        column_spec(pa.field("x", type_), None, Column(dtype=dtype))


def test_dtypes_that_do_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="must be a NumPy dtype, not 'float33'"):
        column_spec(pa.field("x", pa.int8()), None, Column(dtype="float33"))
