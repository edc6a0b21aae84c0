"""Columns of DataFrames by exact names. Spark itself parses names and ignores their case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import reduce
from typing import TYPE_CHECKING, Any

from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.columns.options import Matrix
from tensorsparkml.errors import MissingColumnError, UnsupportedColumnError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructField, StructType

Task = Callable[[Iterator[Any]], Iterator[Any]]

_LISTED = 30  # names in a message


def positions(count: int) -> list[str]:
    """Return different names for a number of columns, without a meaning to Spark."""
    return [f"c{index}" for index in range(count)]


def map_in_arrow(
    data: DataFrame,
    task: Task,
    schema: str | StructType,
    *,
    barrier: bool = False,
    spread: Callable[[DataFrame], DataFrame] = lambda data: data,
) -> DataFrame:
    """Return `DataFrame.mapInArrow` of a DataFrame with any column names.

    Spark looks columns up by name. It would take `a.b` for a field of `a`, and fail if two names
    differ only in case. So columns are renamed on the way, and the task gets their own names back.

    Args:
        data: The DataFrame.
        task: Gets the record batches of a partition.
        schema: Names and types of the columns that the task yields.
        barrier: Whether the tasks start together.
        spread: Distributes the rows over the tasks. It is applied last, because Spark may skip the
            tasks of an empty DataFrame if anything follows.
    """
    names = data.columns

    def with_names(batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
        return task(batch.rename_columns(names) for batch in batches)

    return spread(with_positions(data)).mapInArrow(with_names, schema, barrier)


def select_columns(data: DataFrame, columns: Sequence[str] | None) -> DataFrame:
    """Return a DataFrame with some columns, or fields of structs, under these names.

    Args:
        data: The DataFrame.
        columns: Names such as `age` or `person.age`, or None for all columns.

    Raises:
        MissingColumnError: A column does not exist.
        UnsupportedColumnError: Several columns, or fields of a struct, have the same name.
    """
    if columns is None:
        check_names(data)
        return data
    chosen = [find_column(data, name) for name in columns]
    selected = with_positions(data).select(*chosen).toDF(*columns)
    check_names(selected)
    return selected


def find_column(data: DataFrame, name: str) -> Column:
    """Return a column of a DataFrame whose columns have the names of `positions`.

    Args:
        data: The DataFrame, with its own names.
        name: Name of a column such as `age`, or of a field of a struct such as `person.age`.

    Raises:
        MissingColumnError: There is no such column.
        UnsupportedColumnError: Several columns have the name.
    """
    from pyspark.sql.functions import col

    names = data.columns
    path = _path(data.schema.fields, name)
    if path is None:
        raise missing_column(name, names)
    require_single(path[:1], names)
    column = col(positions(len(names))[names.index(path[0])])
    return reduce(lambda outer, inner: outer.getField(inner), path[1:], column)


def matching_columns(matrix: Matrix, names: Sequence[str]) -> Matrix:
    """Return a matrix that names its columns, where it has a pattern for them.

    Raises:
        MissingColumnError: No column matches.
    """
    if not isinstance(matrix.columns, str):
        return matrix
    found = [name for name in names if fnmatchcase(name, matrix.columns)]
    if not found:
        raise MissingColumnError(
            f"no column of the DataFrame has a name like {matrix}; it has {listed(names)}"
        )
    return replace(matrix, columns=found)


def check_names(data: DataFrame) -> None:
    """Check that no two columns, and no two fields of a struct, have the same name.

    Raises:
        UnsupportedColumnError: Several have the same name.
    """
    names = data.columns
    require_single(names, names)
    check_fields(data)


def check_fields(data: DataFrame) -> None:
    """Check that no two fields of a struct have the same name, because Spark would fail.

    Raises:
        UnsupportedColumnError: Several have the same name.
    """
    for field in data.schema:
        if inner := _repeated_inside(field.dataType):
            raise UnsupportedColumnError(
                f"several fields of column {field.name!r} are named {inner!r}; rename them in "
                "Spark, or leave the column out, as with columns=[...]"
            )


def require_single(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Check that each wanted column's name is unique.

    Raises:
        UnsupportedColumnError: Several columns have the name.
    """
    if twice := [name for name in repeated(names) if name in wanted]:
        raise UnsupportedColumnError(
            f"several columns of the DataFrame are named {', '.join(map(repr, twice[:_LISTED]))}; "
            "rename them, as with df.toDF(*names), or leave them out"
        )


def repeated(names: Sequence[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def missing_column(name: str, names: Sequence[str]) -> MissingColumnError:
    """Return the error for a column that a DataFrame does not have."""
    return MissingColumnError(
        f"there is no column {name!r} in the DataFrame; it has {listed(names)}"
    )


def with_positions(data: DataFrame) -> DataFrame:
    """Return a DataFrame whose columns have the names of `positions`."""
    return data.toDF(*positions(len(data.columns)))


def _path(fields: Sequence[StructField], name: str) -> list[str] | None:
    """Return the names to follow from the outside, or None; each may have dots in it."""
    if any(field.name == name for field in fields):
        return [name]
    for field in fields:
        inside = getattr(field.dataType, "fields", ())
        if inside and name.startswith(f"{field.name}."):
            path = _path(inside, name.removeprefix(f"{field.name}."))
            if path is not None:
                return [field.name, *path]
    return None


def _repeated_inside(kind: DataType) -> str | None:
    """Return a name that several fields of one struct have, however deep it lies."""
    fields = getattr(kind, "fields", ())
    if twice := repeated([field.name for field in fields]):
        return twice[0]
    parts = ("elementType", "keyType", "valueType")  # of arrays and maps
    inside = [field.dataType for field in fields]
    inside += [getattr(kind, part) for part in parts if hasattr(kind, part)]
    return next((found for inner in inside if (found := _repeated_inside(inner))), None)


def arrow_schema(spark: SparkSession, schema: StructType) -> pa.Schema:
    """Return the schema that Spark's record batches have, without running a task."""
    import pyarrow as pa
    from pyspark.sql.functions import lit

    nulls = [lit(None).cast(field.dataType).alias(field.name) for field in schema]
    found = spark.range(0).where("false").select(*nulls).toArrow().schema
    return pa.schema(
        [arrow.with_nullable(field.nullable) for arrow, field in zip(found, schema, strict=True)]
    )
