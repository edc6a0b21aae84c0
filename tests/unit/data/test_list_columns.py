"""Columns of lists become arrays of a shape, views of them where that is possible."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.conversion import (
    EMPTY_SHAPES,
    LISTS,
    NUMBERS,
    address,
    convert,
)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("type_", NUMBERS, ids=str)
def test_list_is_a_view_also_of_a_slice(kind: str, type_: pa.DataType) -> None:
    rows = [list(row) for row in np.arange(12, dtype=NUMBERS[type_]).reshape(4, 3)]
    column = pa.array(rows, LISTS[kind](type_, 3))
    array = convert(column.slice(1, 2))
    assert array.dtype == NUMBERS[type_]
    assert array.tolist() == [[3, 4, 5], [6, 7, 8]]
    assert address(array) == column.values.buffers()[1].address + 3 * array.itemsize


@pytest.mark.parametrize("kind", LISTS)
def test_list_of_values_that_are_a_slice(kind: str) -> None:
    values = pa.array(np.arange(20, dtype=np.float32)).slice(5, 9)
    column = {
        "list": lambda: pa.ListArray.from_arrays(pa.array([0, 3, 6, 9], pa.int32()), values),
        "large_list": lambda: pa.LargeListArray.from_arrays(
            pa.array([0, 3, 6, 9], pa.int64()), values
        ),
        "fixed_size_list": lambda: pa.FixedSizeListArray.from_arrays(values, 3),
    }[kind]()
    assert convert(column).tolist() == [[5, 6, 7], [8, 9, 10], [11, 12, 13]]
    assert convert(column.slice(2)).tolist() == [[11, 12, 13]]


def test_list_whose_offsets_start_late_and_end_early() -> None:
    offsets = pa.array([99, 2, 4, 6, 99], pa.int32()).slice(1, 3)
    column = pa.ListArray.from_arrays(offsets, pa.array(range(10)))
    assert convert(column).tolist() == [[2, 3], [4, 5]]


def test_nulls_and_other_lengths_outside_of_the_slice_do_not_matter() -> None:
    column = pa.array([None, [1], [None, 2], [3, 4], [5, 6], [7, None], []])
    assert convert(column.slice(3, 2)).tolist() == [[3, 4], [5, 6]]
    assert convert(pa.array([None, 1, 2, None]).slice(1, 2)).tolist() == [1, 2]


@pytest.mark.parametrize("outer", LISTS)
@pytest.mark.parametrize("inner", LISTS)
def test_nested_lists(outer: str, inner: str) -> None:
    expected = np.arange(24).reshape(4, 2, 3)
    column = pa.array(expected.tolist(), LISTS[outer](LISTS[inner](pa.int64(), 3), 2))
    np.testing.assert_array_equal(convert(column), expected)
    np.testing.assert_array_equal(convert(column.slice(1, 2)), expected[1:3])
    np.testing.assert_array_equal(convert(column, (2, 3, 1)), expected[..., np.newaxis])


def test_lists_of_what_is_converted() -> None:
    assert convert(pa.array([[True, False], [False, True]])).tolist() == [
        [True, False],
        [False, True],
    ]
    decimals = pa.array([[decimal.Decimal("0.07")], [decimal.Decimal("1.10")]])
    assert convert(decimals.slice(1)).tolist() == [[1.1]]
    assert convert(pa.array([[datetime.date(1970, 1, 2)]])).tolist() == [[1]]


@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1), (1, 784), (2, 2, 2, 98)])
def test_given_shape_of_a_list(shape: tuple[int, ...]) -> None:
    values = np.arange(3 * 784, dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(values, 784).cast(pa.list_(pa.float32()))
    np.testing.assert_array_equal(convert(column, shape), values.reshape(3, *shape))


def test_given_shape_splits_the_innermost_list() -> None:
    values = np.arange(2 * 4 * 15).reshape(2, 4, 15)
    column = pa.array(values.tolist())
    np.testing.assert_array_equal(convert(column, (4, 5, 3)), values.reshape(2, 4, 5, 3))


def test_lists_of_length_zero() -> None:
    assert convert(pa.array([[], []], pa.list_(pa.float32()))).shape == (2, 0)
    assert convert(pa.array([[[], []]], pa.list_(pa.list_(pa.int8())))).shape == (1, 2, 0)
    assert convert(pa.array([[], []], pa.list_(pa.list_(pa.int8())))).shape == (2, 0, 0)
    assert convert(pa.array([[], []], pa.list_(pa.int8(), 0))).shape == (2, 0)


def test_empty_lists_whose_values_have_no_buffers() -> None:
    inner = pa.ListArray.from_buffers(
        pa.list_(pa.int8()), 0, [None, None], children=[pa.array([], pa.int8())]
    )
    column = pa.ListArray.from_arrays(pa.array([0, 0, 0], pa.int32()), inner)
    assert convert(column).shape == (2, 0, 0)


# No rows


@pytest.mark.parametrize("type_", EMPTY_SHAPES, ids=str)
def test_no_rows(type_: pa.DataType) -> None:
    shape = EMPTY_SHAPES[type_]
    assert convert(pa.array([], type_), shape).shape == (0, *shape)


def test_no_rows_of_a_slice_and_without_buffers() -> None:
    assert convert(pa.array([[1, 2], [3, 4]]).slice(1, 0), (2,)).shape == (0, 2)
    no_values = pa.array([], pa.float32())
    column = pa.ListArray.from_buffers(
        pa.list_(pa.float32()), 0, [None, None], children=[no_values]
    )
    assert convert(column, (2,)).shape == (0, 2)
