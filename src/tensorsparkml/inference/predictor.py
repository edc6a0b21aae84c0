"""`Predictor`: a model that is applied to columns of DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tensorsparkml.checks import checked
from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.driver.spark.columns import (
    arrow_schema,
    check_fields,
    find_column,
    matching_columns,
    positions,
    with_positions,
)
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.checks import OPTIONS, data_frame
from tensorsparkml.inference.checks import features as named_columns
from tensorsparkml.inference.engine.batches import default_batch_size
from tensorsparkml.inference.engine.inputs import Input
from tensorsparkml.inference.engine.task import Application
from tensorsparkml.inference.expressions import (
    applied,
    arrow_types,
    as_udf,
    expressions,
    named,
)
from tensorsparkml.inference.failure_server import failure_reports
from tensorsparkml.inference.features import (
    check_columns,
    column_of,
    columns_of_inputs,
    decoder,
    of_each,
)
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.inference.models.source import Kind, ModelSource
from tensorsparkml.inference.outputs import Output, Outputs, Result, check_outputs, results

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

PREDICTION = "prediction"  # the column of the only output

# A column by its name, as an expression, or many of them as one tensor.
Feature = Any


class Predictor:
    """A model that Spark applies to columns; `tsm.load_model` returns it.

    Calling it returns a column of predictions, which Spark computes where and when it needs them:

        predictor = tsm.load_model("/models/churn")
        df.withColumn("score", predictor("features"))

    Each of Spark's Python processes loads the model once, and again after its files have changed.
    """

    def __init__(
        self,
        source: ModelSource,
        signature: Signature,
        returns: Sequence[Result],
        spark: SparkSession,
        batch_size: int | None,
    ) -> None:
        """Keep what `load_model` has found out; not for users."""
        self._source = source
        self._signature = signature
        self._returns = tuple(returns)
        self._spark = spark
        self._batch_size = batch_size

    @property
    def signature(self) -> Signature:
        """The inputs and the outputs of the model; a function has neither."""
        return self._signature

    def __str__(self) -> str:
        lines = [f"Predictor of {self._source}"]
        lines += [f"  input  {each}" for each in self._signature.inputs]
        if self._is_function:
            lines += [f"  output {each.column} → {each.type}" for each in self._returns]
        for each in self._signature.outputs:
            try:
                [result] = self._results({each.name: Output(each.name)})
                lines.append(f"  output {each} → {result.type}")
            except ConfigurationError as error:
                lines.append(f"  output {each} → {error.message}")
        return "\n".join(lines)

    __repr__ = __str__

    @checked(**OPTIONS)
    def __call__(
        self,
        *columns: Feature,
        features: Feature | Mapping[str, Feature] | None = None,
        outputs: Outputs | None = None,
        convert: Mapping[str, Column] | None = None,
        pad: Any = None,
        decode: Any = None,
    ) -> SparkColumn:
        """Return a column of predictions: that of the output, or a struct of several outputs.

        Args:
            columns: A column for each input of the model, in order: a name as in
                `pyspark.sql.functions.col`, an expression, or a `tsm.Matrix` of named columns.
            features: The same as one argument, or as a dict from the names of inputs.
            outputs: Names of outputs, or a dict from the fields of the struct to names or
                `tsm.Output`s. None for all outputs.
            convert: How columns become tensors, if not by default. An expression has the name of
                its input.
            pad: Fills lists up to the longest one of a batch with this value. For several inputs, a
                dict from columns to values.
            decode: `"image"` for JPEG, PNG, GIF and BMP in binary columns, which are resized to the
                size of the input, or a function that gets the bytes of one row and returns an
                array. For several inputs, a dict from columns to these.

        Raises:
            ConfigurationError: An input has no column, or the model has no such output.
        """
        given = features if features is not None else list(columns)
        if (features is not None) == bool(columns):
            raise ConfigurationError(
                "pass the columns of the model's inputs, either in order or as features={…}"
            )
        wanted = self._columns(given)
        names = {name: named(name, each) for name, each in wanted.items()}
        by_name: dict[str, Any] = {}
        for name, each in wanted.items():
            by_name.update(expressions(names[name], each, convert or {}))
        if unknown := [name for name in convert or {} if name not in by_name]:
            raise ConfigurationError(
                f"convert names the column {unknown[0]!r}, which no input gets; they get "
                f"{listed(list(by_name))}"
            )
        positional = not isinstance(given, Mapping)
        application = self._application(
            names, tuple(by_name), outputs, convert, pad, decode, positional
        )
        return applied(application, list(by_name.values()))

    @property
    def udf(self) -> Any:
        """A function for `spark.udf.register`, with the model's inputs as arguments, in order."""
        if self._is_function:
            raise ConfigurationError(
                "a function does not tell its inputs, so SQL cannot call it; use predictor(...)"
            )
        names = [each.name for each in self._signature.inputs]
        named = {name: name for name in names}
        return as_udf(self._application(named, tuple(names), None, None, None, None, True))

    @checked(data=data_frame, features=named_columns, **OPTIONS)
    def transform(
        self,
        data: DataFrame,
        *,
        features: Feature | Mapping[str, Feature] | None = None,
        outputs: Outputs | None = None,
        convert: Mapping[str, Column] | None = None,
        pad: Any = None,
        decode: Any = None,
    ) -> DataFrame:
        """Return the DataFrame with a column for each output, computed lazily; also for streams.

        Columns have exact names here, and their types are checked.

        Args:
            data: The rows.
            features: As in a call; None for columns that are named as the model's inputs.
            outputs: As in a call; a dict names the new columns. By default the only output becomes
                the column `prediction`, and several become columns with their names.
            convert: As in a call.
            pad: As in a call.
            decode: As in a call.

        Raises:
            ConfigurationError: An input has no column, the model has no such output, or the
                DataFrame has a column with the name of an output.
            MissingColumnError: The DataFrame lacks a column.
            UnsupportedColumnError: A column cannot become what its input takes, or several have its
                name.
            ShapeMismatchError: A column cannot have the shape that its input takes.
        """
        if features is None:
            features = {each.name: each.name for each in self._signature.inputs}
            if not features:
                raise ConfigurationError("features is needed: a function does not tell its inputs")
        check_fields(data)
        wanted = {
            name: matching_columns(each, data.columns) if isinstance(each, Matrix) else each
            for name, each in self._columns(features).items()
        }
        needed = [
            column_of(name, convert or {}) for each in wanted.values() for name in _names(each)
        ]
        names = list(dict.fromkeys(needed))
        columns = [find_column(data, name) for name in names]
        for name in convert or {}:  # also those of training that are not needed here, as of labels
            find_column(data, name)
        convert = {name: each for name, each in (convert or {}).items() if name in names}
        positional = not isinstance(features, Mapping)
        application = self._application(
            wanted, tuple(names), outputs, convert, pad, decode, positional
        )
        if outputs is None and len(application.results) == 1:
            [result] = application.results
            application = replace(application, results=(replace(result, column=PREDICTION),))
        for result in application.results:
            if result.column in data.columns:
                raise ConfigurationError(
                    f"the DataFrame already has a column {result.column!r}; choose another "
                    f"name, as in outputs={{'name': {result.source!r}}}"
                )
        renamed = with_positions(data)
        schema = renamed.select(*columns).toDF(*names).schema
        check_columns(
            application.inputs, arrow_schema(data.sparkSession, schema), application.convert
        )
        old = positions(len(data.columns))
        predicted = renamed.select(*old, applied(application, columns).alias("predicted"))
        if len(application.results) > 1:
            fields = [f"predicted.`{result.column}`" for result in application.results]
            predicted = predicted.select(*old, *fields)
        return predicted.toDF(*data.columns, *(result.column for result in application.results))

    @property
    def _is_function(self) -> bool:
        return self._source.kind is Kind.FUNCTION

    def _columns(self, features: Any) -> dict[str, Any]:
        specs = None if self._is_function else self._signature.inputs
        return columns_of_inputs(features, specs, str(self._source))

    def _results(self, outputs: Any) -> list[Result]:
        asked = check_outputs("outputs", outputs)
        if self._is_function:
            if asked is not None:
                raise ConfigurationError(
                    "outputs is for models that tell theirs; name those of a function with "
                    "returns=…, where it is loaded"
                )
            return list(self._returns)
        return results(asked, self._signature, str(self._source))

    def _application(
        self,
        wanted: Mapping[str, Wanted],
        columns: tuple[str, ...],
        outputs: Any,
        convert: Mapping[str, Column] | None,
        pad: Any,
        decode: Any,
        positional: bool,
    ) -> Application:
        found = self._results(outputs)
        specs = {each.name: each for each in self._signature.inputs}
        pads, decoders = of_each("pad", pad, wanted), of_each("decode", decode, wanted)
        inputs = tuple(
            Input(
                name,
                specs.get(name),
                each,
                pads.get(name),
                decoder(name, decoders[name], specs.get(name)) if name in decoders else None,
            )
            for name, each in wanted.items()
        )
        return Application(
            self._source,
            self._signature,
            columns,
            inputs,
            tuple(found),
            arrow_types(self._spark, found),
            dict(convert or {}),
            positional,
            self._batch_size or default_batch_size(self._signature.inputs),
            failure_reports(self._spark),
        )


def _names(wanted: Wanted) -> Sequence[str]:
    return [wanted] if isinstance(wanted, str) else wanted.columns
