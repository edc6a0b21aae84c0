"""Arrow columns to NumPy arrays: values, shapes, views and every refusal."""

from __future__ import annotations

import datetime
import decimal
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conversion import convert, where

from tensorsparkml.data.column_options import Column
from tensorsparkml.data.column_types import check_type
from tensorsparkml.data.columns import ColumnSpec, column_spec, to_numpy
from tensorsparkml.errors import (
    DataError,
    NullValueError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)

UTC = datetime.UTC


def assert_refused(error: type[DataError], call: Callable[[], object], *parts: str) -> str:
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert type(caught.value) is error
    return message


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


# Scalars

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


@pytest.mark.parametrize("type_", NUMBERS, ids=str)
def test_numbers_are_views(type_: pa.DataType) -> None:
    values = np.array([0, 1, 2, 100, 127], NUMBERS[type_])
    column = pa.array(values)
    array = convert(column.slice(1, 3))
    assert array.dtype == NUMBERS[type_]
    np.testing.assert_array_equal(array, values[1:4])
    assert address(array) == column.buffers()[1].address + values.itemsize


def test_extremes_survive() -> None:
    for type_, dtype in NUMBERS.items():
        info: Any = np.iinfo(dtype) if pa.types.is_integer(type_) else np.finfo(dtype)
        values = np.array([info.min, info.max], dtype)
        np.testing.assert_array_equal(convert(pa.array(values, type_)), values)


def test_nan_and_infinity_are_values_not_nulls() -> None:
    values = np.array([math.nan, math.inf, -math.inf, -0.0])
    array = convert(pa.array(values))
    assert array.tobytes() == values.tobytes()


def test_bool_of_a_slice_inside_a_byte() -> None:
    values = [True, False, False, True, True, False, True, True, False, True, True]
    array = convert(pa.array(values).slice(3, 7))
    assert array.dtype == np.bool_
    assert array.tolist() == values[3:10]


def test_date_becomes_days() -> None:
    days = [datetime.date(1969, 12, 31), datetime.date(1970, 1, 1), datetime.date(2024, 2, 29)]
    array = convert(pa.array(days).slice(0, 3))
    assert array.dtype == np.int32
    assert array.tolist() == [-1, 0, 19782]
    assert convert(pa.array(days).slice(2)).tolist() == [19782]


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo", "+02:00"])
@pytest.mark.parametrize(("unit", "scale"), [("s", 10**6), ("ms", 10**3), ("us", 1)])
def test_timestamp_becomes_microseconds_utc(unit: str, scale: int, zone: str | None) -> None:
    column = pa.array([-1, 0, 1_700_000_000], pa.timestamp(unit, zone))
    array = convert(column)
    assert array.dtype == np.int64
    assert array.tolist() == [-scale, 0, 1_700_000_000 * scale]
    assert convert(column.slice(1, 1)).tolist() == [0]


def test_timestamp_of_an_instant_does_not_depend_on_its_zone() -> None:
    instant = datetime.datetime(2024, 7, 1, 12, tzinfo=UTC)
    for zone in ("UTC", "America/New_York"):
        array = convert(pa.array([instant], pa.timestamp("us", zone)))
        assert array.tolist() == [int(instant.timestamp()) * 10**6]


def test_timestamp_digits_beyond_microseconds_are_dropped() -> None:
    assert convert(pa.array([1999, 2000], pa.timestamp("ns"))).tolist() == [1, 2]


def test_microsecond_timestamps_are_views() -> None:
    column = pa.array([1, 2, 3], pa.timestamp("us", "UTC"))
    assert address(convert(column)) == column.buffers()[1].address


def test_times_of_day_and_durations_become_microseconds() -> None:
    for type_ in (pa.time64("ns"), pa.duration("ns")):
        assert convert(pa.array([1999, 2000, 3000], type_).slice(1)).tolist() == [2, 3]
        assert convert(pa.array([1999], type_)).tolist() == [1]
    column = pa.array([-5, 5], pa.duration("us"))
    assert convert(column).tolist() == [-5, 5]
    assert address(convert(column)) == column.buffers()[1].address
    assert convert(pa.array([2], pa.duration("s"))).tolist() == [2_000_000]
    assert convert(pa.array([2], pa.time32("ms"))).tolist() == [2000]


def test_timestamp_out_of_range() -> None:
    column = pa.array([0, 2**62], pa.timestamp("s"))
    assert_refused(
        UnsupportedColumnError, lambda: convert(column), "'x'", "timestamp[s]", "does not fit"
    )


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()], ids=str)
def test_string_becomes_utf8(type_: pa.DataType) -> None:
    values = ["", "a", "naïve", "日本", "nul\0", "🙂" * 50]
    column = pa.array(values, type_)
    array = convert(column)
    assert array.dtype == object
    assert array.tolist() == [value.encode() for value in values]
    assert convert(column.slice(2, 2)).tolist() == ["naïve".encode(), "日本".encode()]
    assert all(type(value) is bytes for value in array)


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary()], ids=str)
def test_binary_keeps_trailing_zeros_and_invalid_utf8(type_: pa.DataType) -> None:
    values = [b"", b"\0", b"a\0\0", b"\xff\xfe", bytes(range(256)) * 20]
    column = pa.array(values, type_)
    assert convert(column).tolist() == values
    assert convert(column.slice(1, 3)).tolist() == values[1:4]


def test_scalar_with_a_shape_of_one_value() -> None:
    assert convert(pa.array([1, 2, 3]), (1,)).tolist() == [[1], [2], [3]]
    assert convert(pa.array(["a", "b"]), (1, 1)).tolist() == [[[b"a"]], [[b"b"]]]
    assert convert(pa.array([1.0]), ()).tolist() == [1.0]


# Decimals


@given(
    st.data(),
    st.sampled_from([(5, 0), (10, 2), (15, 15), (18, 6), (38, 18), (38, 22), (38, 37), (12, -3)]),
)
def test_decimal_is_the_nearest_float(data: st.DataObject, kind: tuple[int, int]) -> None:
    precision, scale = kind
    exponent = data.draw(st.integers(0, precision))
    unscaled = st.integers(-(10**exponent) + 1, 10**exponent - 1)
    context = decimal.Context(prec=80)
    values = [
        decimal.Decimal(value).scaleb(-scale, context)
        for value in data.draw(st.lists(unscaled, min_size=1, max_size=10))
    ]
    column = pa.array(values, pa.decimal128(precision, scale))
    start = data.draw(st.integers(0, len(values) - 1))
    assert convert(column.slice(start)).tolist() == [float(value) for value in values[start:]]


def test_decimal_is_rounded_once() -> None:
    # As float64 both the digits and the quotient are rounded, here to a neighbour of the nearest.
    value = decimal.Decimal(9007199254740995).scaleb(-3)
    assert float(int(value * 1000)) / 1000.0 != float(value)
    assert convert(pa.array([value, -value])).tolist() == [float(value), -float(value)]


def test_decimal_around_the_largest_exact_integers() -> None:
    edges = [2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**38 - 1]
    unscaled = [0, *edges, *(-edge for edge in edges)]
    column = pa.array([decimal.Decimal(value) for value in unscaled], pa.decimal128(38, 0))
    assert convert(column).tolist() == [float(value) for value in unscaled]


OTHER_DECIMALS = [pa.decimal256(60, 3)]
if hasattr(pa, "decimal32"):  # since PyArrow 19
    OTHER_DECIMALS += [pa.decimal32(7, 3), pa.decimal64(15, 3)]


@pytest.mark.parametrize("type_", OTHER_DECIMALS, ids=str)
def test_decimal_of_other_widths(type_: pa.DataType) -> None:
    values = [decimal.Decimal(text) for text in ("1.5", "-0.007", "1234.125")]
    column = pa.array(values, type_)
    assert convert(column.slice(1)).tolist() == [-0.007, 1234.125]


# Lists


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


# column_spec


@pytest.mark.parametrize(
    ("type_", "sample", "shape", "expected"),
    [
        (pa.float32(), None, None, ()),
        (pa.float32(), None, (1,), (1,)),
        (pa.list_(pa.int8(), 3), None, None, (3,)),
        (pa.list_(pa.list_(pa.int8(), 3), 2), None, None, (2, 3)),
        (pa.list_(pa.int8()), [[1, 2]], None, (2,)),
        (pa.list_(pa.int8()), [None, [1, 2], None], None, (2,)),
        (pa.list_(pa.int8()), None, (4, 2), (4, 2)),
        (pa.list_(pa.int8()), [], (4, 2), (4, 2)),
        (pa.list_(pa.int8()), [None], (4, 2), (4, 2)),
        (pa.list_(pa.list_(pa.int8())), [[None, [1]], [[2], [3]]], None, (2, 1)),
        (pa.list_(pa.list_(pa.int8(), 3)), [[[1, 2, 3]]], None, (1, 3)),
    ],
)
def test_column_spec_shape(
    type_: pa.DataType, sample: list[Any] | None, shape: Any, expected: tuple[int, ...]
) -> None:
    rows = None if sample is None else pa.array(sample, type_)
    assert column_spec(pa.field("x", type_), rows, Column(shape=shape)).shape == expected


def test_column_spec_is_a_plain_value() -> None:
    spec = column_spec(pa.field("x", pa.string()), None, Column())
    assert spec == ColumnSpec("x", pa.string(), np.dtype(object), ())
    assert pickle.loads(pickle.dumps(spec)) == spec
    numpy_sizes: Any = (np.int64(2), np.int32(3))
    sizes = column_spec(pa.field("x", pa.list_(pa.int8())), None, Column(numpy_sizes)).shape
    assert [type(size) for size in sizes] == [int, int]


def test_unknown_length_outside_of_an_empty_list() -> None:
    field = pa.field("x", pa.list_(pa.list_(pa.int8(), 0)))
    assert_refused(
        UnsupportedColumnError, lambda: column_spec(field, None, Column()), "unknown length"
    )


@pytest.mark.parametrize("sample", [None, [], [None, None]])
def test_unknown_length(sample: list[Any] | None) -> None:
    type_ = pa.list_(pa.float32())
    rows = None if sample is None else pa.array(sample, type_)
    assert_refused(
        UnsupportedColumnError,
        lambda: column_spec(pa.field("pixels", type_), rows, Column()),
        "'pixels'",
        "list<item: float>",
        "unknown length",
        "Give the column's shape",
        "tsm.Column(shape=(None,))",
    )


# Refused types

VARIANT = pa.struct(
    [
        pa.field("value", pa.binary(), nullable=False),
        pa.field("metadata", pa.binary(), nullable=False, metadata={"variant": "true"}),
    ]
)
REFUSED = [
    (
        pa.map_(pa.string(), pa.int32()),
        ["map<string, int32", "element_at", "map_values", "explode"],
    ),
    (pa.struct([]), ["a struct without fields"]),
    (VARIANT, ["a variant", "variant_get(col, '$.field', 'double')"]),
    (pa.list_(VARIANT), ["a variant"]),
    (pa.dense_union([pa.field("a", pa.int32())]), ["union", "cast it to a single type"]),
    (pa.month_day_nano_interval(), ["interval of months", "extract(YEAR FROM col)"]),
    (pa.null(), ["null", "only nulls", "lit(0.0)"]),
    (pa.dictionary(pa.int8(), pa.string()), ["dictionary<", "dictionary_decode"]),
    (pa.date64(), ["date64", "supported are"]),
    (pa.string_view(), ["string_view", "supported are"]),
    (pa.binary(4), ["fixed_size_binary[4]", "supported are"]),
    (pa.list_view(pa.int8()), ["list_view<", "supported are"]),
    (pa.list_(pa.struct([("a", pa.int32())])), ["elements are structs", "transform", "e['a']"]),
    (pa.list_(pa.map_(pa.string(), pa.int8())), ["a map has no fixed shape"]),
    (pa.list_(pa.null()), ["only nulls"]),
]


@pytest.mark.parametrize(("type_", "parts"), REFUSED, ids=lambda value: str(value)[:40])
def test_refused_types(type_: pa.DataType, parts: list[str]) -> None:
    field = pa.field("my col", type_)
    message = assert_refused(
        UnsupportedColumnError,
        lambda: check_type(field),
        "Column 'my col' of type ",
        "does not become a tensor",
        *parts,
    )
    assert message.endswith(".")
    assert message == assert_refused(
        UnsupportedColumnError, lambda: column_spec(field, None, Column((2, 2)))
    )


def test_a_long_type_is_cut() -> None:
    field = pa.field(
        "x", pa.map_(pa.string(), pa.struct([(f"f{n}", pa.int8()) for n in range(999)]))
    )
    assert len(assert_refused(UnsupportedColumnError, lambda: check_type(field), "...")) < 400


@pytest.mark.parametrize("type_", [*EMPTY_SHAPES, *NUMBERS], ids=str)
def test_supported_types_pass(type_: pa.DataType) -> None:
    check_type(pa.field("x", type_))


def test_a_batch_of_another_type() -> None:
    spec = column_spec(pa.field("x", pa.float32()), None, Column())
    assert_refused(
        UnsupportedColumnError,
        lambda: to_numpy(pa.array([1.0]), spec, where),
        "'x'",
        "double",
        "float was expected",
        "one schema",
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
        "2 is expected for the shape (2,)",
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
        "4 is expected for the shape (2, 2)",
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


@pytest.mark.parametrize(
    ("sample", "type_", "shape", "parts"),
    [
        ([[0] * 784], pa.list_(pa.int8()), (28, 29), ["lists of 784 values", "(28, 29) needs 812"]),
        ([[0] * 6], pa.list_(pa.int8(), 6), (7,), ["lists of 6 values", "(7,) needs 7"]),
        (None, pa.list_(pa.int8(), 6), (7,), ["lists of 6 values", "(7,) needs 7"]),
        ([[[1, 2]]], pa.list_(pa.list_(pa.int8())), (2, 1), ["1 x 2 values", "(2, 1) needs 2 x 1"]),
        (None, pa.list_(pa.list_(pa.int8(), 3)), (2, 2), ["? x 3 values", "needs 2 x 2"]),
        (
            [[[1, 2]]],
            pa.list_(pa.list_(pa.int8())),
            (2,),
            ["lists of depth 2", "(2,) has depth 1", "flatten"],
        ),
        ([[1]], pa.list_(pa.int8()), (), ["lists of depth 1", "() has depth 0"]),
        (None, pa.float32(), (2,), ["holds 1 value per row", "(2,) needs 2"]),
        (None, pa.string(), (0,), ["holds 1 value per row", "(0,) needs 0"]),
        (None, pa.list_(pa.int8()), (-1, 28), ["(-1, 28)", "without the batch dimension"]),
        (None, pa.list_(pa.int8()), 28, ["the shape 28", "sizes of one row"]),
        (None, pa.list_(pa.int8()), (None, 28), ["(None, 28)", "without the batch dimension"]),
    ],
)
def test_shape_mismatch(sample: Any, type_: pa.DataType, shape: Any, parts: list[str]) -> None:
    rows = None if sample is None else pa.array(sample, type_)
    field = pa.field("x", type_)
    assert_refused(
        ShapeMismatchError, lambda: column_spec(field, rows, Column(shape)), "'x'", *parts
    )


def test_a_batch_of_another_nesting() -> None:
    spec = column_spec(pa.field("x", pa.list_(pa.int64())), None, Column((2,)))
    for column in (pa.array([1, 2]), pa.array([[[1, 2]]]), pa.array([[1, 2]], pa.list_(pa.int8()))):
        assert_refused(
            UnsupportedColumnError,
            lambda column=column: to_numpy(column, spec, where),
            "one schema",
        )


# Random columns


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


def test_neither_spark_nor_tensorflow_is_imported() -> None:
    code = (
        "import sys, tensorsparkml.data.columns\n"
        "print([name for name in ('pyspark', 'tensorflow', 'pandas') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
