"""`tsm.predict`: a model's predictions over a DataFrame, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorsparkml.checks import checked, integer, optional, path
from tensorsparkml.data.columns.options import Column
from tensorsparkml.inference.checks import OPTIONS, data_frame
from tensorsparkml.inference.checks import features as columns
from tensorsparkml.inference.load import load_model
from tensorsparkml.inference.outputs import Outputs
from tensorsparkml.storage import StrPath

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@checked(
    data=data_frame,
    model=path,
    features=columns,
    batch_size=optional(integer(1)),
    **OPTIONS,
)
def predict(
    data: DataFrame,
    model: StrPath,
    *,
    features: Any = None,
    outputs: Outputs | None = None,
    convert: Mapping[str, Column] | None = None,
    pad: Any = None,
    decode: Any = None,
    batch_size: int | None = None,
) -> DataFrame:
    """Return the DataFrame with a column for each output of a model, computed lazily.

    The same as `load_model(model, batch_size=...).transform(data, ...)`. All columns are kept, and
    so are the order and the partitions of the rows.

    Args:
        data: The rows.
        model: Path or URI of a folder that `ctx.export` or `keras.Model.export` has written, or of
            a file `*.keras` or `*.h5`; driver and executors must see it. A relative path starts at
            the driver's working directory.
        features: For a model with one input: a column, or a `tsm.Matrix`. For several inputs: a
            dict from input names to columns or matrices. None for columns that are named as the
            inputs.
        outputs: Names of outputs, or a dict from names of columns to outputs or `tsm.Output`s. By
            default the only output becomes the column `prediction`, and several become columns with
            their names.
        convert: How columns become tensors, if not by default, such as
            `{"image": tsm.Column(shape=(28, 28, 1))}`.
        pad: As in a call of a `Predictor`.
        decode: As in a call of a `Predictor`.
        batch_size: Number of rows that the model gets at once, as in `load_model`.

    Raises:
        ConfigurationError: There is no model, it has no such input or output, or the DataFrame has
            a column with the name of an output.
        DataError: The model cannot be read, the DataFrame lacks a column, or a column does not fit
            its input.
        MissingPackageError: The driver lacks a package that is needed to read the model.

    Errors that depend on the rows are raised by Spark's actions; see `typed_errors`.
    """
    predictor = load_model(model, spark=data.sparkSession, batch_size=batch_size)
    return predictor.transform(
        data, features=features, outputs=outputs, convert=convert, pad=pad, decode=decode
    )
