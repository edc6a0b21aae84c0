"""Values of features to the types of columns, and back.

| type of the column | feature |
|---|---|
| byte, short, int, long, boolean, timestamp (microseconds since 1970) | integers |
| float, double, decimal | floats |
| string, binary | bytes |
| an array of these | several values |
| an array of arrays of these | a feature list of a `SequenceExample` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.errors import NullValueError, UnsupportedColumnError
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.codec.survey import is_utf8

_MICROSECONDS = "us"
_MOST_LEVELS = 2


def feature_column(field: pa.Field, *, sequences: bool) -> FeatureColumn:
    """Return the feature that a column is.

    Args:
        field: The column, as Arrow has it.
        sequences: Whether records are of the kind `SequenceExample`, and not `Example`.

    Raises:
        UnsupportedColumnError: No feature holds such values.
    """
    type_, depth = field.type, 0
    while pa.types.is_list(type_) or pa.types.is_large_list(type_):
        type_, depth = type_.value_type, depth + 1
    kind = _kind(type_)
    if kind is None or depth > _MOST_LEVELS:
        raise UnsupportedColumnError(
            f"the column {field.name!r} has the type {field.type}, which TFRecords do not hold; "
            "they hold numbers, booleans, timestamps, strings, binaries, and arrays of these. Cast "
            "the column, or leave it out"
        )
    if depth == _MOST_LEVELS and not sequences:
        raise UnsupportedColumnError(
            f"the column {field.name!r} has arrays of arrays, which an Example does not hold; set "
            "the option recordType to SequenceExample, or flatten the column"
        )
    return FeatureColumn(field.name, kind, depth, steps=depth == _MOST_LEVELS)


def _kind(type_: pa.DataType) -> Kind | None:
    is_ = pa.types
    if is_.is_signed_integer(type_) or is_.is_boolean(type_) or is_.is_timestamp(type_):
        return Kind.INT64
    if is_.is_floating(type_) or is_.is_decimal(type_):
        return Kind.FLOAT
    if is_.is_string(type_) or is_.is_binary(type_):
        return Kind.BYTES
    if is_.is_large_string(type_) or is_.is_large_binary(type_):
        return Kind.BYTES
    return None


@dataclass(frozen=True)
class Converted:
    """A column of the wanted type.

    Attributes:
        array: The column. The values that do not fit are any.
        wrong: The rows that have one.
        reason: Why those do not fit.
    """

    array: pa.Array
    wrong: npt.NDArray[np.int64]
    reason: str = ""


def to_column(found: pa.Array, wanted: pa.DataType, name: str) -> Converted:
    """Return what a feature holds as the values of a column.

    Args:
        found: The values, as `decode_records` returns them.
        wanted: The type of the column.
        name: The name of the column, for messages.
    """
    if found.type == wanted:
        return Converted(found, np.zeros(0, np.int64))
    if pa.types.is_list(wanted):
        inner = to_column(found.values, wanted.value_type, name)
        offsets = found.offsets
        array = pa.ListArray.from_arrays(
            offsets, inner.array, type=wanted, mask=found.is_null() if found.null_count else None
        )
        rows = np.searchsorted(offsets.to_numpy(), inner.wrong, side="right") - 1
        inside = (rows >= 0) & (rows < len(found))  # others are those of rows that are left out
        return Converted(array, np.unique(rows[inside]), inner.reason)
    array, bad, reason = _converters(wanted)(found, wanted)
    return Converted(array, bad, f"the column {name!r} {reason}" if len(bad) else "")


_Found = tuple[pa.Array, npt.NDArray[np.int64], str]


def _converters(wanted: pa.DataType) -> Callable[[pa.Array, pa.DataType], _Found]:
    if pa.types.is_boolean(wanted):
        return _to_boolean
    if pa.types.is_string(wanted) or pa.types.is_large_string(wanted):
        return _to_text
    if pa.types.is_decimal(wanted):
        return _to_decimal
    if pa.types.is_signed_integer(wanted):
        return _to_integer
    return _to_other


def _places(bad: pa.BooleanArray) -> npt.NDArray[np.int64]:
    return np.flatnonzero(pc.fill_null(bad, False).to_numpy(zero_copy_only=False))


def _without(array: pa.Array, bad: npt.NDArray[np.int64]) -> pa.Array:
    """Return an array with nulls at some places."""
    mask = np.zeros(len(array), np.bool_)
    mask[bad] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def _to_integer(found: pa.Array, wanted: pa.DataType) -> _Found:
    low, high = -(2 ** (wanted.bit_width - 1)), 2 ** (wanted.bit_width - 1) - 1
    bad = _places(pc.or_(pc.less(found, low), pc.greater(found, high)))
    fits = _without(found, bad) if len(bad) else found
    return (
        fits.cast(wanted),
        bad,
        f"has a value outside the range of {wanted}",
    )


def _to_boolean(found: pa.Array, wanted: pa.DataType) -> _Found:
    bad = _places(pc.or_(pc.less(found, 0), pc.greater(found, 1)))
    return found.cast(wanted), bad, "has a value that is no boolean: neither 0 nor 1"


def _to_text(found: pa.Array, wanted: pa.DataType) -> _Found:
    try:
        return found.cast(wanted), np.zeros(0, np.int64), ""
    except pa.ArrowInvalid:  # which does not say where
        values = enumerate(found.to_pylist())
        bad = np.array([row for row, each in values if each and not is_utf8(each)], np.int64)
    return _without(found, bad).cast(wanted), bad, "has bytes that are not UTF-8; read it as binary"


def _to_decimal(found: pa.Array, wanted: pa.DataType) -> _Found:
    limit = 10.0 ** (wanted.precision - wanted.scale)
    numbers = pc.round(found.cast(pa.float64()), wanted.scale)
    bad = _places(pc.invert(pc.less(pc.abs(numbers), limit)))  # a NaN, too
    fits = _without(numbers, bad) if len(bad) else numbers
    return fits.cast(wanted), bad, f"has a value that does not fit into {wanted}"


def _to_other(found: pa.Array, wanted: pa.DataType) -> _Found:
    return found.cast(wanted), np.zeros(0, np.int64), ""


def to_feature(array: pa.Array, column: FeatureColumn) -> pa.Array:
    """Return the values of a column as a feature holds them.

    Args:
        array: The column.
        column: What it becomes.

    Raises:
        NullValueError: An array has a null in it, for which a feature has no place.
    """
    if column.depth:
        values = array.flatten()  # without what nulls have, and what is outside of a slice
        if values.null_count:
            raise NullValueError(
                f"the column {column.name!r} has a null within an array, for which TFRecords have "
                "no place; replace it, or leave it out with array_compact"
            )
        sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        inner = FeatureColumn(column.name, column.kind, column.depth - 1)
        return pa.ListArray.from_arrays(
            pa.array(offsets),
            to_feature(values, inner),
            mask=array.is_null() if array.null_count else None,
        )
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp(_MICROSECONDS, array.type.tz)).cast(pa.int64())
    if pa.types.is_decimal(array.type):
        return array.cast(pa.float64()).cast(pa.float32())
    if column.kind is Kind.FLOAT:
        return array.cast(pa.float32(), safe=False)
    return array.cast(column.kind.type)
