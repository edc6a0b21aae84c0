"""The table of the Arrow types that become elements of tensors, and how each is converted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.columns import spark_ml as ml_types
from tensorsparkml.data.columns.hints import advice, is_variant, text
from tensorsparkml.data.columns.misfit import Misfit
from tensorsparkml.data.columns.packed import packed_count, packed_numbers
from tensorsparkml.errors import UnsupportedColumnError

__all__ = [
    "ELEMENT_TYPES",
    "OBJECT",
    "ElementType",
    "check_type",
    "element_type",
    "is_binary",
    "is_list",
    "is_struct",
    "leaf_type",
    "list_depth",
    "packed_type",
]

OBJECT = np.dtype(object)

# float64 represents every integer up to the one, and every power of ten up to the other.
_MAX_EXACT_INTEGER = 2**53
_MAX_EXACT_SCALE = 22

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class ElementType:
    """How values of some Arrow types become elements of a tensor.

    Attributes:
        name: What they are called.
        matches: Whether an Arrow type is one of these.
        dtype: NumPy dtype of the elements of such a type; object for bytes.
        convert: Converts values, none of them null, at least one, to an array of shape
            `(len(values), *sizes)`. May return a view; raises `Misfit`.
        dimensions: How many dimensions one value has.
        sizes: Returns the sizes of these dimensions in the first of the values; they are
            not null, and there is at least one.
    """

    name: str
    matches: Callable[[pa.DataType], bool]
    dtype: Callable[[pa.DataType], np.dtype]
    convert: Callable[[pa.Array, Sizes], np.ndarray]
    dimensions: int = 0
    sizes: Callable[[pa.Array], Sizes] | None = None


def element_type(type_: pa.DataType) -> ElementType | None:
    """Return how values of an Arrow type become elements, or None when they do not."""
    return next((known for known in ELEMENT_TYPES if known.matches(type_)), None)


def packed_type(dtype: np.dtype) -> ElementType:
    """Return how binaries that hold numbers of a dtype become these."""
    return ElementType(
        "numbers in a binary",
        is_binary,
        lambda _: dtype,
        packed_numbers(dtype),
        dimensions=1,
        sizes=packed_count(dtype),
    )


def is_list(type_: pa.DataType) -> bool:
    """Return whether the type is a list, large_list or fixed_size_list."""
    return bool(
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
    )


def is_struct(type_: pa.DataType) -> bool:
    """Return whether the type is a struct of columns, and not a vector or the like."""
    return (
        pa.types.is_struct(type_)
        and type_.num_fields > 0
        and element_type(type_) is None
        and not is_variant(type_)
    )


def list_depth(type_: pa.DataType) -> int:
    """Return how many lists the type has inside each other: 0 for a scalar."""
    depth = 0
    while is_list(type_):
        type_ = type_.value_type
        depth += 1
    return depth


def leaf_type(type_: pa.DataType) -> pa.DataType:
    """Return the type of the innermost elements: the type itself for a scalar."""
    while is_list(type_):
        type_ = type_.value_type
    return type_


def check_type(field: pa.Field) -> ElementType:
    """Return how the innermost elements of a column are converted; only the schema is needed.

    Args:
        field: The column's name and Arrow type.

    Raises:
        UnsupportedColumnError: They do not become tensors; the message names the column, its type
            and what to do.
    """
    leaf = leaf_type(field.type)
    found = element_type(leaf)
    if found is None:
        raise UnsupportedColumnError(
            f"Column {field.name!r} of type {text(field.type)} cannot become a tensor: "
            f"{advice(leaf, in_list=is_list(field.type))}."
        )
    return found


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _number_dtype(type_: pa.DataType) -> np.dtype:
    dtype: np.dtype = np.dtype(type_.to_pandas_dtype())
    return dtype


def _numbers(values: pa.Array, _: Sizes) -> np.ndarray:
    array: np.ndarray = values.to_numpy(zero_copy_only=False)
    return array


def _bool_dtype(_: pa.DataType) -> np.dtype:
    return np.dtype(np.bool_)


def _float64(_: pa.DataType) -> np.dtype:
    return np.dtype(np.float64)


def _decimals(values: pa.Array, _: Sizes) -> np.ndarray:
    """Convert decimals to the nearest float64, which Arrow's own cast misses by up to 2 ulp."""
    type_ = values.type
    if not pa.types.is_decimal128(type_) or not 0 <= type_.scale <= _MAX_EXACT_SCALE:
        return _decimals_by_text(values)
    # A decimal128 is a little-endian pair of words. Where the low one says it all and both it and
    # the power of ten are exact as float64, one division rounds once, correctly.
    words = np.frombuffer(
        values.buffers()[1], np.int64, count=2 * len(values), offset=16 * values.offset
    ).reshape(-1, 2)
    low, high = words[:, 0], words[:, 1]
    exact = (high == low >> 63) & (low <= _MAX_EXACT_INTEGER) & (low >= -_MAX_EXACT_INTEGER)
    array: np.ndarray = low / np.float64(10**type_.scale)
    if not exact.all():
        array[~exact] = _decimals_by_text(values.filter(pa.array(~exact)))
    return array


def _decimals_by_text(values: pa.Array) -> np.ndarray:
    array: np.ndarray = values.cast(pa.string()).cast(pa.float64()).to_numpy()
    return array


def _is_string(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def is_binary(type_: pa.DataType) -> bool:
    """Return whether the type is that of binaries of any size."""
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _object(_: pa.DataType) -> np.dtype:
    return OBJECT


def _strings(values: pa.Array, sizes: Sizes) -> np.ndarray:
    """View strings as their bytes: TensorFlow takes these, and nothing is decoded."""
    large = pa.types.is_large_string(values.type)
    return _numbers(values.view(pa.large_binary() if large else pa.binary()), sizes)


def _int32(_: pa.DataType) -> np.dtype:
    return np.dtype(np.int32)


def _days(values: pa.Array, sizes: Sizes) -> np.ndarray:
    return _numbers(values.view(pa.int32()), sizes)


def _int64(_: pa.DataType) -> np.dtype:
    return np.dtype(np.int64)


def _microseconds(values: pa.Array, sizes: Sizes) -> np.ndarray:
    """Convert timestamps, times of day and durations; what is smaller than a microsecond is cut."""
    type_ = values.type
    if pa.types.is_timestamp(type_):
        target = pa.timestamp("us", tz=type_.tz)
    else:
        target = pa.time64("us") if pa.types.is_time(type_) else pa.duration("us")
    options = pc.CastOptions(target, allow_time_truncate=True)
    try:
        return _numbers(pc.cast(values, options=options).view(pa.int64()), sizes)
    except pa.ArrowInvalid as error:
        raise Misfit(
            UnsupportedColumnError,
            None,
            f"has a value that does not fit 64 bits as microseconds ({error})",
            "Correct or drop such rows in Spark.",
        ) from error


ELEMENT_TYPES = (
    ElementType("number", _is_number, _number_dtype, _numbers),
    ElementType("boolean", pa.types.is_boolean, _bool_dtype, _numbers),
    ElementType("decimal", pa.types.is_decimal, _float64, _decimals),
    ElementType("string", _is_string, _object, _strings),
    ElementType("binary", is_binary, _object, _numbers),
    ElementType("date", pa.types.is_date32, _int32, _days),
    ElementType("timestamp", pa.types.is_timestamp, _int64, _microseconds),
    ElementType("time of day", pa.types.is_time, _int64, _microseconds),
    ElementType("duration", pa.types.is_duration, _int64, _microseconds),
    ElementType(
        "Spark ML vector", ml_types.is_vector, _float64, ml_types.vectors, 1, ml_types.vector_sizes
    ),
    ElementType(
        "Spark ML matrix", ml_types.is_matrix, _float64, ml_types.matrices, 2, ml_types.matrix_sizes
    ),
)
