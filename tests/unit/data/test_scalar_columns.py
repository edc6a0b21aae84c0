"""Columns of numbers, times, strings and binaries become arrays."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conversion import (
    NUMBERS,
    address,
    assert_refused,
    convert,
)

from tensorsparkml.errors import (
    UnsupportedColumnError,
)

UTC = datetime.UTC


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
