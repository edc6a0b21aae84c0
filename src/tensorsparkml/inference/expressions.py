"""Spark's expressions: the columns that inputs get, and that of the predictions."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.driver.spark.columns import arrow_schema
from tensorsparkml.driver.spark.remote_import import remote_import
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.engine.task import Application
from tensorsparkml.inference.features import column_of
from tensorsparkml.inference.outputs import Result
from tensorsparkml.program.pickling import pickled

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType

_TASK = "tensorsparkml.inference.engine.task"


def named(name: str, given: Any) -> Wanted:
    """Return the name of what an input gets, where it is an expression that of the input."""
    return given if isinstance(given, str | Matrix) else name


def expressions(wanted: Wanted, given: Any, convert: Mapping[str, Column]) -> dict[str, Any]:
    """Return the columns that an input needs, by their names.

    Raises:
        ConfigurationError: A pattern stands for columns, whose names an expression does not know.
    """
    from pyspark.sql.functions import col

    if isinstance(wanted, str):
        if not isinstance(given, str):
            return {wanted: given}
        name = column_of(wanted, convert)
        return {name: col(name)}
    if isinstance(wanted.columns, str):
        raise ConfigurationError(
            f"{wanted} has a pattern, and an expression has no DataFrame in which to look for "
            "columns; name them, or use predictor.transform"
        )
    names = [column_of(name, convert) for name in wanted.columns]
    return {name: col(name) for name in names}


def applied(application: Application, columns: Sequence[Any]) -> SparkColumn:
    """Return the column of predictions."""
    predicted: SparkColumn = as_udf(application)(*columns)
    vectors = [each.column for each in application.results if each.is_vector]
    if not vectors:
        return predicted
    from pyspark.ml.functions import array_to_vector

    if len(application.results) == 1:
        return array_to_vector(predicted)
    for name in vectors:
        predicted = predicted.withField(name, array_to_vector(predicted[name]))
    return predicted


def as_udf(application: Application) -> Any:
    """Return the function of Spark that applies a model to columns."""
    from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

    return arrow_udf(prediction_task(application), _type_of(application.results))


def prediction_task(application: Application) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return what Spark's tasks run; it is sent to the executors by value."""
    # With the source of the user's functions, which tracebacks then show.
    functions = [each.output.function for each in application.results]
    functions += [getattr(each.decoder, "function", None) for each in application.inputs]
    sent = pickled("a function in outputs or decode", application, functions)
    import_task = remote_import(_TASK)

    def predict(batches: Iterator[Any]) -> Iterator[Any]:
        run = import_task().run
        return run(pickle.loads(sent), batches)  # type: ignore[no-any-return]

    # By which Spark tells kinds of functions apart.
    single, several = Iterator[pa.Array], Iterator[tuple[pa.Array, ...]]
    taken = single if len(application.columns) == 1 else several
    predict.__annotations__ = {"batches": taken, "return": single}
    return predict


def arrow_types(spark: SparkSession, results: Sequence[Result]) -> tuple[pa.DataType, ...]:
    """Return the Arrow types of results.

    Raises:
        ConfigurationError: A type is none of Spark's.
    """
    from pyspark.sql.types import StructField, StructType

    fields = [StructField(each.column, _parsed(each.type)) for each in results]
    return tuple(field.type for field in arrow_schema(spark, StructType(fields)))


def _type_of(results: Sequence[Result]) -> DataType:
    from pyspark.sql.types import StructField, StructType

    types = [_parsed(each.type) for each in results]
    if len(types) == 1:
        return types[0]
    fields = zip(results, types, strict=True)
    return StructType([StructField(each.column, type_) for each, type_ in fields])


def _parsed(ddl: str) -> DataType:
    from pyspark.errors import ParseException
    from pyspark.sql.types import DataType

    try:
        return DataType.fromDDL(ddl)
    except ParseException as error:
        raise ConfigurationError(
            f"type={ddl!r} is no type of Spark's: {error.getCondition()}; give one such as "
            "'double', 'array<float>' or 'vector'"
        ) from error
