"""Values that do not fit are refused with the name of their row."""

from __future__ import annotations

import pyarrow as pa
import pytest
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
    NullValueError,
    RaggedColumnError,
    UnsupportedColumnError,
)

# Nulls


@pytest.mark.parametrize("type_", [*NUMBERS, pa.bool_(), pa.string(), pa.binary()], ids=str)
def test_null_scalar(type_: pa.DataType) -> None:
    column = pa.nulls(9, type_).slice(2, 5)
    assert_refused(
        NullValueError,
        lambda: convert(column),
        "'x'",
        str(type_),
        "is null in row 100 of partition 3",
        "df.dropna(subset=['x'])",
        "fillna",
        "coalesce",
    )


def test_null_row_is_counted_from_the_start_of_the_slice() -> None:
    column = pa.array([None, 1, 2, None, 3])
    assert_refused(NullValueError, lambda: convert(column.slice(1)), "row 102 of")


@pytest.mark.parametrize("kind", LISTS)
def test_null_list(kind: str) -> None:
    column = pa.array([[1, 2], [3, 4], None, [5, 6]], LISTS[kind](pa.int8(), 2))
    assert_refused(NullValueError, lambda: convert(column), "is null in row 102 of", "dropna")
    assert_refused(NullValueError, lambda: convert(column.slice(1)), "is null in row 101 of")


@pytest.mark.parametrize("kind", LISTS)
def test_null_in_a_list(kind: str) -> None:
    column = pa.array([[1, 2], [3, 4], [5, None], [6, 7]], LISTS[kind](pa.int8(), 2))
    assert_refused(
        NullValueError,
        lambda: convert(column.slice(1)),
        "has a null element [1] in row 101 of partition 3",
        "transform(col, lambda e: coalesce(e, lit(0).cast('tinyint')))",
    )


def test_null_in_nested_lists() -> None:
    column = pa.array([[[1, 2], [3, 4]], [[5, 6], [None, 8]]])
    assert_refused(NullValueError, lambda: convert(column), "null element [1][0] in row 101")
    column = pa.array([[[[1, 2, 3]] * 2], [[[4, 5, 6], [7, 8, None]]]])
    assert_refused(NullValueError, lambda: convert(column), "null element [0][1][2] in row 101")
    column = pa.array([[[1, 2], [3, 4]], [[5, 6], None]])
    assert_refused(NullValueError, lambda: convert(column), "null element [1] in row 101")


# Lengths


@pytest.mark.parametrize("kind", ["list", "large_list"])
def test_ragged(kind: str) -> None:
    column = pa.array([[9], [1, 2], [3, 4], [5, 6, 7], [8]], LISTS[kind](pa.int8(), 2)).slice(1)
    assert_refused(
        RaggedColumnError,
        lambda: convert(column),
        "'x'",
        str(column.type),
        "a list of length 3 in row 102 of partition 3",
        "the shape (2,) needs length 2",
        "slice(concat(col, array_repeat(lit(0).cast('tinyint'), 2)), 1, 2)",
        "size(col)",
    )


@pytest.mark.parametrize(
    ("type_", "zero"),
    [
        (pa.float32(), "lit(0).cast('float')"),
        (pa.int64(), "lit(0).cast('bigint')"),
        (pa.bool_(), "lit(...)"),
    ],
    ids=str,
)
def test_the_suggested_padding_keeps_the_type(type_: pa.DataType, zero: str) -> None:
    column = pa.array([[1, 0], [1]]).cast(pa.list_(type_))
    assert_refused(RaggedColumnError, lambda: convert(column), f"array_repeat({zero}, 2)")


def test_ragged_although_the_number_of_values_is_right() -> None:
    assert_refused(
        RaggedColumnError,
        lambda: convert(pa.array([[1, 2], [3], [4, 5, 6]])),
        "length 1 in row 101",
    )


def test_ragged_with_lists_of_length_zero() -> None:
    assert_refused(RaggedColumnError, lambda: convert(pa.array([[], [1]])), "length 1 in row 101")
    assert_refused(RaggedColumnError, lambda: convert(pa.array([[1], []])), "length 0 in row 101")


def test_ragged_against_a_given_shape() -> None:
    spec = column_spec(pa.field("x", pa.list_(pa.int64())), None, Column((2, 2)))
    column = pa.array([[1, 2, 3, 4], [1, 2, 3]])
    assert_refused(
        RaggedColumnError,
        lambda: to_numpy(column, spec, where),
        "length 3 in row 101",
        "the shape (2, 2) needs length 4",
    )


def test_ragged_inner_lists() -> None:
    column = pa.array([[[1, 2], [3, 4]], [[5, 6], [7]]])
    assert_refused(
        RaggedColumnError,
        lambda: convert(column),
        "a list of length 1 in element [1] of row 101 of partition 3",
        "inside transform(col, ...)",
    )
    column = pa.array([[[1, 2], [3, 4]], [[5, 6]]])
    assert_refused(RaggedColumnError, lambda: convert(column), "a list of length 1 in row 101")


def test_a_batch_of_another_nesting() -> None:
    spec = column_spec(pa.field("x", pa.list_(pa.int64())), None, Column((2,)))
    for column in (pa.array([1, 2]), pa.array([[[1, 2]]]), pa.array([[1, 2]], pa.list_(pa.int8()))):
        assert_refused(
            UnsupportedColumnError,
            lambda column=column: to_numpy(column, spec, where),
            "one schema",
        )
