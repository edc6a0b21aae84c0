"""Which Arrow types become tensors, how their elements do, and what to do about the others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.errors import UnsupportedColumnError

__all__ = [
    "check_type",
    "element_dtype",
    "elements",
    "is_list",
    "leaf_type",
    "list_depth",
    "spark_zero",
    "text",
]

OBJECT = np.dtype(object)

_SAME_LAYOUT: dict[pa.DataType, np.dtype] = {
    pa.bool_(): np.dtype(np.bool_),
    pa.int8(): np.dtype(np.int8),
    pa.int16(): np.dtype(np.int16),
    pa.int32(): np.dtype(np.int32),
    pa.int64(): np.dtype(np.int64),
    pa.uint8(): np.dtype(np.uint8),
    pa.uint16(): np.dtype(np.uint16),
    pa.uint32(): np.dtype(np.uint32),
    pa.uint64(): np.dtype(np.uint64),
    pa.float16(): np.dtype(np.float16),
    pa.float32(): np.dtype(np.float32),
    pa.float64(): np.dtype(np.float64),
    pa.date32(): np.dtype(np.int32),
    pa.string(): OBJECT,
    pa.large_string(): OBJECT,
    pa.binary(): OBJECT,
    pa.large_binary(): OBJECT,
}

_SPARK_NUMBERS = {
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
}

# Spark's Arrow form of pyspark.ml.linalg: VectorUDT and MatrixUDT.
_VECTOR_FIELDS = {"type", "size", "indices", "values"}
_MATRIX_FIELDS = {"type", "numRows", "numCols", "colPtrs", "rowIndices", "values", "isTransposed"}


# float64 represents every integer up to the one, and every power of ten up to the other.
_MAX_EXACT_INTEGER = 2**53
_MAX_EXACT_SCALE = 22


def is_list(type_: pa.DataType) -> bool:
    """Return whether the type is a list, large_list or fixed_size_list."""
    return bool(
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
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


def element_dtype(type_: pa.DataType) -> np.dtype | None:
    """Return the NumPy dtype of a scalar Arrow type, or None when it does not become a tensor.

    Decimals give float64, date32 gives int32 (days since 1970-01-01), timestamps give int64
    (microseconds since 1970-01-01; see `to_numpy`), strings and binaries give object.
    """
    if pa.types.is_decimal(type_):
        return np.dtype(np.float64)
    if pa.types.is_timestamp(type_):
        return np.dtype(np.int64)
    return _SAME_LAYOUT.get(type_)


def check_type(field: pa.Field) -> None:
    """Check that a column of this type can become a tensor; only the schema is needed.

    Args:
        field: The column's name and Arrow type.

    Raises:
        UnsupportedColumnError: It cannot; the message names the column, its type and what to do.
    """
    leaf = leaf_type(field.type)
    in_list = is_list(field.type)
    dtype = element_dtype(leaf)
    if dtype is None:
        advice = _advice(leaf, in_list=in_list)
    elif dtype == OBJECT and in_list:
        advice = (
            "lists of strings or binaries are not supported. In Spark, select the elements as "
            "columns of their own (col[0], col[1], ...), join them with array_join, or encode them "
            "as numbers"
        )
    else:
        return
    raise UnsupportedColumnError(
        f"Column {field.name!r} of type {text(field.type)} does not become a tensor: {advice}."
    )


def elements(values: pa.Array, name: str) -> np.ndarray:
    """Convert scalars to an array of shape (len(values),) and dtype `element_dtype(values.type)`.

    Args:
        values: At least one scalar of a supported type, none of them null.
        name: The column's name, for messages.

    Raises:
        UnsupportedColumnError: A timestamp is too far away for microseconds in 64 bits.
    """
    type_ = values.type
    if pa.types.is_decimal(type_):
        return _decimals(values)
    if pa.types.is_timestamp(type_):
        values = _microseconds(values, name)
    elif pa.types.is_date32(type_):
        values = values.view(pa.int32())
    # Strings are viewed as their bytes: TensorFlow takes these, and nothing is decoded.
    elif pa.types.is_string(type_):
        values = values.view(pa.binary())
    elif pa.types.is_large_string(type_):
        values = values.view(pa.large_binary())
    array: np.ndarray = values.to_numpy(zero_copy_only=False)
    return array


def spark_zero(type_: pa.DataType) -> str:
    """Return a PySpark expression that messages suggest in place of a missing element.

    It has the elements' own type: Spark widens array<float> with an int in it to array<double>.
    """
    name = _SPARK_NUMBERS.get(type_)
    return "lit(...)" if name is None else f"lit(0).cast('{name}')"


def text(type_: pa.DataType, limit: int = 120) -> str:
    """Return the type as messages show it, cut when a struct makes it long."""
    full = str(type_)
    return full if len(full) <= limit else full[: limit - 3] + "..."


def _decimals(values: pa.Array) -> np.ndarray:
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


def _microseconds(values: pa.Array, name: str) -> pa.Array:
    target = pa.timestamp("us", tz=values.type.tz)
    options = pc.CastOptions(target, allow_time_truncate=True)
    try:
        return pc.cast(values, options=options).view(pa.int64())
    except pa.ArrowInvalid as error:
        raise UnsupportedColumnError(
            f"Column {name!r} of type {text(values.type)} has a timestamp that does not fit "
            f"64 bits as microseconds ({error}). Correct or drop such rows in Spark."
        ) from error


def _advice(type_: pa.DataType, *, in_list: bool) -> str:
    if pa.types.is_struct(type_):
        return _struct_advice(type_, in_list=in_list)
    if pa.types.is_map(type_):
        return (
            "a map has no fixed shape. In Spark, pick entries with element_at(col, key), take "
            "map_values(col) when all rows have the same keys, or explode the column"
        )
    if pa.types.is_union(type_):
        return "a union mixes types. Select one of its members and cast it to a single type"
    if pa.types.is_duration(type_) or pa.types.is_interval(type_):
        return (
            "it is an interval of time. In Spark, make it a number, for example with "
            "unix_micros(end) - unix_micros(start), or with extract(HOUR FROM col)"
        )
    if pa.types.is_null(type_):
        return (
            "the column has no type and only nulls. In Spark, drop it, or give it a type and "
            "values, for example with lit(0.0)"
        )
    if pa.types.is_dictionary(type_):
        return (
            "it is dictionary-encoded. Decode it before it is fed, with pyarrow's "
            "dictionary_decode()"
        )
    return (
        "supported are booleans, integers, floats, decimals, strings, binaries, dates, timestamps, "
        "and lists of fixed length of booleans or numbers. In Spark, cast it to one of these"
    )


def _struct_advice(type_: pa.StructType, *, in_list: bool) -> str:
    names = [type_.field(index).name for index in range(type_.num_fields)]
    if set(names) == _VECTOR_FIELDS and not in_list:
        return (
            "it is a Spark ML vector. In Spark, convert it with "
            "pyspark.ml.functions.vector_to_array(col, 'float32')"
        )
    if set(names) == _MATRIX_FIELDS and not in_list:
        return "it is a Spark ML matrix. In Spark, convert it to an array of numbers with a UDF"
    # The name of a field may hold a dot or a space; then it needs backticks, as Spark says itself.
    example = names[0] if names else "field"
    if in_list:
        return (
            "its elements are structs. In Spark, take one field of every element, for example "
            f"transform(col, lambda e: e[{example!r}]), and make a column of each"
        )
    return (
        "it is a struct. In Spark, select its inner fields as columns of their own, for example "
        f"col[{example!r}]"
    )
