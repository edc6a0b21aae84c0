"""Columns of DataFrames by exact names; Spark parses names, and does not tell `a` from `A`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from tensorsparkml.errors import MissingColumnError, UnsupportedColumnError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructField, StructType

Task = Callable[[Iterator[Any]], Iterator[Any]]

_LISTED = 30  # names in a message


def positions(count: int) -> list[str]:
    """Return that many different names that mean nothing else to Spark."""
    return [f"c{index}" for index in range(count)]


def map_in_arrow(
    data: DataFrame,
    task: Task,
    schema: str | StructType,
    *,
    barrier: bool = False,
    spread: Callable[[DataFrame], DataFrame] = lambda data: data,
) -> DataFrame:
    """Return `DataFrame.mapInArrow` of a DataFrame whose columns may have any names.

    Spark looks the columns up by name, and would take `a.b` for a field of `a`, and fail where
    names differ in case only. So they are renamed for the way, and the task gets them as they were.

    Args:
        data: The DataFrame.
        task: Gets the record batches of a partition.
        schema: Names and types of what it yields.
        barrier: Whether the tasks start together.
        spread: How the rows get to the tasks, done last: where they turn out to be none, Spark runs
            no task for what comes between.
    """
    names = data.columns

    def with_names(batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
        return task(batch.rename_columns(names) for batch in batches)

    return spread(_renamed(data)).mapInArrow(with_names, schema, barrier)


def select_columns(data: DataFrame, columns: Sequence[str] | None) -> DataFrame:
    """Return a DataFrame of some columns, or of fields of structs, under these names.

    Args:
        data: The DataFrame.
        columns: Names such as `age` or `person.age`, or None for all columns.

    Raises:
        MissingColumnError: One is not there.
        UnsupportedColumnError: Several have one of the names, here or in a struct.
    """
    if columns is None:
        check_names(data)
        return data
    names, renamed = data.columns, _renamed(data)
    chosen = []
    for name in columns:
        path = _path(data.schema.fields, name)
        if path is None:
            raise missing_column(name, names)
        require_single(path[:1], names)
        column = renamed[positions(len(names))[names.index(path[0])]]
        chosen.append(reduce(lambda outer, inner: outer.getField(inner), path[1:], column))
    selected = renamed.select(*chosen).toDF(*columns)
    check_names(selected)
    return selected


def check_names(data: DataFrame) -> None:
    """Check that each column, and each field of a struct, has a name of its own.

    Raises:
        UnsupportedColumnError: Several have one name.
    """
    names = data.columns
    require_single(names, names)
    check_fields(data)


def check_fields(data: DataFrame) -> None:
    """Check that the fields of each struct have names of their own, without which Spark fails.

    Raises:
        UnsupportedColumnError: Several have one name.
    """
    for field in data.schema:
        if inner := _repeated_inside(field.dataType):
            raise UnsupportedColumnError(
                f"several fields of column {field.name!r} are named {inner!r}; rename them in "
                "Spark, or leave the column out, as with columns=[...]"
            )


def require_single(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Check that wanted columns can be told from the others.

    Raises:
        UnsupportedColumnError: Several columns have the name of one.
    """
    if twice := [name for name in repeated(names) if name in wanted]:
        raise UnsupportedColumnError(
            f"several columns of the DataFrame are named {', '.join(map(repr, twice[:_LISTED]))}; "
            "rename them, as with df.toDF(*names), or leave them out"
        )


def repeated(names: Sequence[str]) -> list[str]:
    """Return the names that stand there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def missing_column(name: str, names: Sequence[str]) -> MissingColumnError:
    """Return the error for a column that is not among those of a DataFrame."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return MissingColumnError(
        f"there is no column {name!r} in the DataFrame; it has {', '.join(names[:_LISTED])}{more}"
    )


def _renamed(data: DataFrame) -> DataFrame:
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
