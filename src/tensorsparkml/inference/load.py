"""`tsm.load_model`: finds out at the driver what a model takes and gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tensorsparkml.checks import checked, function, integer, named, optional, path, switch, text
from tensorsparkml.driver.spark.private_api import default_filesystem
from tensorsparkml.driver.spark.session import is_remote, session, usable_session
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.models.description import describe, describe_in_task
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.inference.models.source import Kind, ModelSource
from tensorsparkml.inference.outputs import Output, Result
from tensorsparkml.inference.predictor import PREDICTION, Predictor
from tensorsparkml.program.pickling import pickled
from tensorsparkml.storage import StrPath, absolute_path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _model(name: str, value: Any) -> Any:
    return value if callable(value) and not isinstance(value, os.PathLike) else path(name, value)


@checked(
    model=_model,
    spark=session,
    signature=text,
    returns=optional(text),
    build=optional(function),
    custom_objects=optional(named(function)),
    batch_size=optional(integer(1)),
    jit_compile=switch,
    mixed_precision=switch,
)
def load_model(
    model: StrPath | Callable[[], Callable[..., Any]],
    *,
    spark: SparkSession | None = None,
    signature: str = "serving_default",
    returns: str | None = None,
    build: Callable[[], Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    jit_compile: bool = False,
    mixed_precision: bool = False,
) -> Predictor:
    """Return a predictor, which applies a model to columns of DataFrames.

    The model itself is loaded by Spark's Python processes. Here only its inputs and outputs are
    looked at: for a SavedModel without TensorFlow, for Keras's formats in a short process.

    Args:
        model: Path or URI of a folder that `ctx.export` or `keras.Model.export` has written, of a
            file `*.keras` or `*.h5`, or of weights, `*.weights.h5`; driver and executors must see
            it. Or a function without arguments that returns a callable, which gets NumPy arrays of
            shape `(rows, ...)` and returns one, or a dict of them.
        spark: The session. None uses the active one.
        signature: Name of the signature of a SavedModel.
        returns: What the callable of a function returns: a Spark type, such as "float", or names
            and types of several outputs, such as "score float, label string".
        build: Builds the Keras model that weights are for.
        custom_objects: Classes and functions that a Keras model needs, by the names under which
            they are registered.
        batch_size: Number of rows that the model gets at once. None for 1,024; fewer where those
            would take more than 32 MiB; 4,096 where a row is at most 256 bytes of floating-point
            numbers. A model that takes one number of rows only gets that.
        jit_compile: Whether XLA compiles the model; the last rows of a partition are then filled
            up to a whole batch.
        mixed_precision: Whether TensorFlow computes in half precision where it considers this safe.

    Raises:
        ConfigurationError: There is no model, it has no such signature, or an argument does not
            apply to it.
        DataError: The model cannot be read.
        MissingPackageError: The driver lacks a package that is needed to read it.
        UnpicklableError: The function cannot be sent to executors.
    """
    if spark is None or not is_remote(spark):
        spark = usable_session(spark)
    if callable(model) and not isinstance(model, str | os.PathLike):
        if returns is None:
            raise ConfigurationError(
                "returns is needed for a function: the Spark type of what its callable returns, as "
                "in returns='float', or names and types of several outputs"
            )
        if build is not None or custom_objects or jit_compile or mixed_precision:
            raise ConfigurationError(
                "build, custom_objects, jit_compile and mixed_precision are for models in files; "
                "do in the function what they ask for"
            )
        source = ModelSource(
            Kind.FUNCTION, None, pickled=pickled("the model's function", (model, {}), [model])
        )
        return Predictor(source, Signature((), ()), _returned(returns), spark, batch_size)
    if returns is not None:
        raise ConfigurationError(
            "returns is for functions; choose from the outputs of a model with outputs=…, where it "
            "is applied"
        )
    brought = None
    if build is not None or custom_objects:
        objects = dict(custom_objects or {})
        parts = [build, *objects.values()]
        brought = pickled("build or custom_objects", (build, objects), parts)
    default_fs = "file:///" if is_remote(spark) else default_filesystem(spark)
    path = absolute_path(model, default_fs, os.getcwd())
    asked = ModelSource(
        Kind.WEIGHTS if build else Kind.UNKNOWN,
        path,
        signature,
        brought,
        jit_compile,
        mixed_precision,
    )
    source, found = describe_in_task(spark, asked) if is_remote(spark) else describe(asked)
    return Predictor(source, found, (), spark, batch_size)


def _returned(returns: str) -> list[Result]:
    """Return the outputs that the user has named, by Spark's DDL."""
    from pyspark.errors import ParseException
    from pyspark.sql.types import DataType, StructType

    try:
        kind = DataType.fromDDL(returns)
    except ParseException as error:
        raise ConfigurationError(
            f"returns={returns!r} is neither a type of Spark's nor names and types: "
            f"{error.getCondition()}"
        ) from error
    if not isinstance(kind, StructType):
        return [Result(PREDICTION, None, returns, Output())]
    return [
        Result(field.name, field.name, field.dataType.simpleString(), Output(field.name))
        for field in kind
    ]
