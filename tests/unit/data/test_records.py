"""Python objects become record batches, and what does not fit is named."""

from __future__ import annotations

import datetime
from collections import namedtuple
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.columns.from_python import record_batches
from tensorsparkml.errors import (
    DataError,
    MissingColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)

Point = namedtuple("Point", ["x", "y"])


class Row(tuple[Any, ...]):
    """As pyspark.sql.Row, which these tests do without, shows its fields."""

    __fields__ = ("x", "y")


def table(rows: Any, columns: Any = None, **limits: int) -> pa.Table:
    return pa.Table.from_batches(record_batches(rows, 3, columns, **limits))


def array(found: pa.Table) -> np.ndarray:
    """The first column, of nested lists of fixed size, as one array."""
    column = found.column(0).combine_chunks()
    shape = [len(column)]
    while pa.types.is_fixed_size_list(column.type):
        shape.append(column.type.list_size)
        column = column.flatten()
    return column.to_numpy(zero_copy_only=False).reshape(shape)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1, 0.5), (2, 1.5)], {"_1": [1, 2], "_2": [0.5, 1.5]}),
        ([[1, "a"], [2, "b"]], {"_1": [1, 2], "_2": ["a", "b"]}),
        ([(1, "a"), [2, "b"]], {"_1": [1, 2], "_2": ["a", "b"]}),
        ([{"b": 1, "a": 2}, {"a": 4, "b": 3}], {"b": [1, 3], "a": [2, 4]}),
        ([Point(1, 2), Point(3, 4)], {"x": [1, 3], "y": [2, 4]}),
        ([Row((1, 2)), Row((3, 4))], {"x": [1, 3], "y": [2, 4]}),
        ([1, 2, 3], {"value": [1, 2, 3]}),
        ([1, 2.5], {"value": [1.0, 2.5]}),
        (["a", None], {"value": ["a", None]}),
        ([b"\0", b"\1"], {"value": [b"\0", b"\1"]}),
        ([Decimal("1.10")], {"value": [Decimal("1.10")]}),
        ([datetime.date(1970, 1, 2)], {"value": [datetime.date(1970, 1, 2)]}),
        ([([1, 2], 3), ([4, 5], 6)], {"_1": [[1, 2], [4, 5]], "_2": [3, 6]}),
        ([(np.float32(1), np.int8(2))], {"_1": [1.0], "_2": [2]}),
    ],
)
def test_columns(rows: list[Any], expected: dict[str, list[Any]]) -> None:
    found = table(rows)
    assert found.column_names == list(expected)
    assert found.to_pydict() == expected


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ([(1, 2)], ["a", "b"], {"a": [1], "b": [2]}),
        ([5, 6], ["n"], {"n": [5, 6]}),
        ([{"a": 1, "b": 2}, {"b": 3, "c": 4}], ["b"], {"b": [2, 3]}),
        ([Point(1, 2)], ["y"], {"y": [2]}),
        ([Row((1, 2))], ["y", "x"], {"y": [2], "x": [1]}),
    ],
)
def test_columns_that_are_named(rows: Any, columns: list[str], expected: Any) -> None:
    found = table(rows, columns)
    assert found.column_names == columns
    assert found.to_pydict() == expected


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "uint16", "bool", ">f4"]
)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3)])
def test_arrays_keep_shape_dtype_and_values(dtype: str, shape: tuple[int, ...]) -> None:
    rows = np.arange(4 * np.prod(shape)).reshape(4, *shape).astype(dtype)
    for found in (
        array(table(list(rows))),
        array(table([(row, 1) for row in rows])),
        # Every batch is a part of a larger buffer.
        array(table(list(rows), most_rows=3)),
    ):
        assert found.dtype == rows.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, rows)


def test_transposed_arrays_and_arrays_without_dimensions() -> None:
    row = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(array(table([row, row])), [row, row])
    assert table([np.array(1.5, "float32")]).schema.field("value").type == pa.float32()


def test_a_smaller_dtype_is_taken() -> None:
    found = array(table([np.zeros(2, "float32"), np.ones(2, "int8")]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 0], [1, 1]])


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 7), st.integers(1, 100))
def test_batches_are_bounded_and_hold_every_row(
    lengths: list[int], most_rows: int, most_bytes: int
) -> None:
    rows = [b"x" * length for length in lengths]
    batches = list(record_batches(rows, 0, most_rows=most_rows, most_bytes=most_bytes))
    assert [value for batch in batches for value in batch.column(0).to_pylist()] == rows
    for batch in batches:
        sizes = [len(value) for value in batch.column(0).to_pylist()]
        assert 1 <= len(sizes) <= most_rows
        assert sum(sizes) <= most_bytes or len(sizes) == 1


@pytest.mark.parametrize(
    "row", [np.zeros((10, 10)), (1, [[0.0] * 10] * 10), {"a": [0.0] * 100}, [0.0] * 100]
)
def test_arrays_and_lists_count_with_all_their_elements(row: Any) -> None:
    # Each is of 100 numbers of 8 bytes, or one more.
    batches = list(record_batches([row] * 10, 0, most_bytes=1700))
    assert [batch.num_rows for batch in batches] == [2] * 5


def test_numbers_become_those_of_the_first_batch_if_nothing_is_lost() -> None:
    found = table([0.5, 1.5, 2, 3, 4.0, None, 0], most_rows=2)
    assert found.to_pydict() == {"value": [0.5, 1.5, 2.0, 3.0, 4.0, None, 0.0]}
    assert table([1, 2.0, 3, 4], most_rows=1).to_pydict() == {"value": [1, 2, 3, 4]}
    found = table([([0.5],), ([1],), ([],)], most_rows=1)
    assert found.to_pydict() == {"_1": [[0.5], [1.0], []]}


def test_no_rows_give_no_batches() -> None:
    assert list(record_batches([], 0)) == []


ARRAY = np.zeros(2, "float32")


@pytest.mark.parametrize(
    ("rows", "columns", "kind", "message"),
    [
        ([(1,)] * 5 + [("a",)], None, UnsupportedColumnError, "column '_1' of row 5 of partition 3 holds the str 'a', but the partition began with int64"),  # noqa: E501
        ([(1,)] * 4 + [(0.5,)], None, UnsupportedColumnError, "column '_1' of row 4 .*float 0.5"),
        ([(1,), ("a",)], None, UnsupportedColumnError, "column '_1' of row 1 of partition 3"),
        ([1, 2, "3"], None, UnsupportedColumnError, "row 2 .*str '3'"),
        ([1, 2, True], None, UnsupportedColumnError, "row 2 .*bool True"),
        ([(None,)] * 2 + [(1,)], None, UnsupportedColumnError, "row 2 .* began with null"),
        ([(object(),)], None, UnsupportedColumnError, "column '_1' of row 0"),
        ([2**70], None, UnsupportedColumnError, "column 'value' of row 0"),
        ([(1, 2), (1, 2, 3)], None, DataError, "row 1 of partition 3 has 3 values, but .* 2 values"),  # noqa: E501
        ([(1, 2), 3], None, DataError, "row 1 of partition 3 is a int, but .* tuples or lists"),
        ([(1, 2)], ["a"], DataError, "tuple of 2 values, but 1 columns are named: a"),
        ([[0.0] * 784], ["x"], DataError, "list of 784 values, .* NumPy array"),
        ([5], ["a", "b"], DataError, "int of 1 values, but 2 columns"),
        ([{"a": 1}, {"b": 1}], None, MissingColumnError, "row 1 of partition 3 has no column 'a'; it has b"),  # noqa: E501
        ([{"a": 1}, {"a": 1, "b": 1}], None, DataError, "row 1 of partition 3 has a column 'b'"),
        ([{"a": 1}], ["b"], MissingColumnError, "row 0 of partition 3 has no column 'b'; it has a"),
        ([{1: 1}], None, DataError, "not 1"),
        ([Point(1, 2), Row((1, 2)), namedtuple("Q", ["z"])(1)], None, DataError, "row 2 .* has z, but .* x, y"),  # noqa: E501
        ([ARRAY, ARRAY, np.zeros(3, "float32")], None, ShapeMismatchError, r"column 'value' of row 2 of partition 3 holds an array of the shape \(3,\) .* shape \(2,\)"),  # noqa: E501
        ([(1, ARRAY), (1, None)], None, ShapeMismatchError, "column '_2' of row 1 .* NoneType None"),  # noqa: E501
        ([ARRAY, np.zeros(2)], None, UnsupportedColumnError, "row 1 .* float64, but .* float32"),
        ([np.array(["a"])], None, UnsupportedColumnError, "cannot become a tensor"),
        ([np.zeros((0, 2))], None, UnsupportedColumnError, "at least one element"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    rows: list[Any], columns: list[str] | None, kind: type[DataError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        table(rows, columns, most_rows=2)
