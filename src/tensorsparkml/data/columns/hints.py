"""Advice in messages about types that do not become tensors."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["advice", "is_variant", "spark_zero", "text"]

_SPARK_NUMBERS = {
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
}


def text(type_: pa.DataType, limit: int = 120) -> str:
    """Return the type as messages show it, cut when a struct makes it long."""
    full = str(type_)
    return full if len(full) <= limit else full[: limit - 3] + "..."


def spark_zero(type_: pa.DataType) -> str:
    """Return a PySpark expression that messages suggest in place of a missing element.

    It has the elements' own type: Spark widens array<float> with an int in it to array<double>.
    """
    name = _SPARK_NUMBERS.get(type_)
    return "lit(...)" if name is None else f"lit(0).cast('{name}')"


def is_variant(type_: pa.DataType) -> bool:
    """Return whether the type is Spark's variant: a struct of two binaries, one of them marked."""
    return pa.types.is_struct(type_) and any(
        field.name == "metadata" and (field.metadata or {}).get(b"variant") == b"true"
        for field in type_
    )


def advice(type_: pa.DataType, *, in_list: bool) -> str:
    """Return why a type does not become a tensor, and what to do about it.

    Args:
        type_: The type of the column, or of the innermost elements of its lists.
        in_list: Whether it is that of elements of lists.
    """
    if is_variant(type_):
        return (
            "the rows of a variant may have any type. In Spark, extract values of one type, for "
            "example with variant_get(col, '$.field', 'double')"
        )
    if pa.types.is_struct(type_):
        return _struct_advice(type_, in_list=in_list)
    if pa.types.is_map(type_):
        return (
            "a map has no fixed shape. In Spark, pick entries with element_at(col, key), take "
            "map_values(col) if all rows have the same keys, or explode the column"
        )
    if pa.types.is_union(type_):
        return "a union mixes types. Select one of its members and cast it to a single type"
    if pa.types.is_interval(type_):
        return (
            "it is an interval of months. In Spark, convert it to a number, for example with "
            "extract(YEAR FROM col) * 12 + extract(MONTH FROM col)"
        )
    if pa.types.is_null(type_):
        return (
            "the column has no type and only nulls. In Spark, drop it, or give it a type and "
            "values, for example with lit(0.0)"
        )
    if pa.types.is_dictionary(type_):
        return (
            "it is dictionary-encoded. Decode it with pyarrow's dictionary_decode() before you "
            "feed it"
        )
    return (
        "the supported types are booleans, integers, floats, decimals, strings, binaries, dates, "
        "times, Spark ML vectors and matrices, and lists and structs of these. In Spark, cast it "
        "to one of them"
    )


def _struct_advice(type_: pa.StructType, *, in_list: bool) -> str:
    if type_.num_fields == 0:
        return "it is a struct without fields. In Spark, drop it"
    assert in_list  # outside of lists, structs become dicts
    # The name of a field may hold a dot or a space; then it needs backticks, as Spark says itself.
    example = type_.field(0).name
    return (
        "its elements are structs. In Spark, make a column of each field, for example with "
        f"transform(col, lambda e: e[{example!r}])"
    )
