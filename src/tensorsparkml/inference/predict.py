"""Predictions of an exported model over a DataFrame."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tensorsparkml.checks import checked, integer, path, refuse, text
from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.checks import conversions, inputs
from tensorsparkml.data.columns.names import MASK
from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.driver.spark.columns import (
    check_fields,
    map_in_arrow,
    missing_column,
    positions,
    require_single,
)
from tensorsparkml.errors import ConfigurationError, MissingColumnError
from tensorsparkml.inference.model_inputs import (
    Features,
    as_input,
    check_kind,
    columns_of_inputs,
    only_output,
)
from tensorsparkml.storage import StrPath, absolute_path, local_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Bounds the memory that TensorFlow needs for activations, whatever Spark's Arrow batches hold.
_BATCH_SIZE = 1024


def _data_frame(name: str, value: Any) -> Any:
    from pyspark.sql import DataFrame

    if not isinstance(value, DataFrame):
        refuse(name, "a Spark DataFrame; make one with spark.createDataFrame(...)", value)
    return value


@checked(
    data=_data_frame,
    model=path,
    features=inputs,
    output=text,
    convert=conversions,
    batch_size=integer(1),
)
def predict(
    data: DataFrame,
    model: StrPath,
    *,
    features: str | Matrix | Mapping[str, str | Matrix],
    output: str = "prediction",
    convert: Mapping[str, Column] | None = None,
    batch_size: int = _BATCH_SIZE,
) -> DataFrame:
    """Return the DataFrame with one more column: a model's predictions, computed lazily.

    Each of Spark's Python processes loads the model once, and again if its files have changed. All
    columns are kept, and so are the order and the partitions of the rows.

    Args:
        data: The rows.
        model: Folder of a model written by `ctx.export` or `keras.Model.export`. The driver and
            every executor must see it under this path. A relative path starts at the driver's
            working directory.
        features: For a model with one input: a column, or a `tsm.Matrix`. For several inputs: a
            dict from input names to columns or matrices.
        output: Name of the new column, an `array<float>` with the model's only output, flattened.
        convert: How columns become tensors, if not by default, such as
            `{"image": tsm.Column(shape=(28, 28, 1))}`.
        batch_size: Number of rows that the model gets at once.

    Raises:
        ConfigurationError: The DataFrame has a column of the new name already, or there is no model
            in the folder.
        MissingColumnError: The DataFrame lacks a column.
        UnsupportedColumnError: Several columns have the name of a column that is read.

    Other errors depend on the rows and the model. Spark's tasks raise them, so they appear in the
    text of Spark's exception: `ConfigurationError` for an input without a column or an output of
    strings, `UnsupportedColumnError` and `ShapeMismatchError` for a column that does not fit its
    input, and `NullValueError` for a null.
    """
    from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

    if output in data.columns:
        raise ConfigurationError(
            f"the DataFrame already has a column {output!r}; choose another name with output=…"
        )
    check_fields(data)
    for wanted in _wanted(features):
        _check_columns(wanted, data.columns)
    for name in convert or {}:
        _outer(name, data.columns)
    folder = _model_folder(model, here="connect" not in type(data).__module__.split("."))
    # Columns that the model does not read may have any names, and several the same.
    names = [*data.columns, output]
    column = StructField(output, ArrayType(FloatType(), containsNull=False), nullable=False)
    fields = zip([*data.schema.fields, column], positions(len(names)), strict=True)
    schema = StructType(
        [
            StructField(name, field.dataType, field.nullable, field.metadata)
            for field, name in fields
        ]
    )
    task = _predict_task(folder, features, dict(convert or {}), batch_size)
    return map_in_arrow(data, task, schema).toDF(*names)


def _model_folder(model: StrPath, *, here: bool) -> str:
    """Return the absolute path or URI of a model's folder.

    Args:
        model: A path or a URI.
        here: Whether this process sees the files that executors see. A client of Spark Connect may
            not see them.
    """
    folder = absolute_path(model, "file:///", os.getcwd())
    names = ("saved_model.pb", "saved_model.pbtxt")
    looks = here and local_path(folder) is not None
    if looks and not any(os.path.isfile(os.path.join(folder, name)) for name in names):
        raise ConfigurationError(
            f"there is no exported model in {folder}; model must be a folder that ctx.export or "
            "keras.Model.export has written, and that the driver and the executors can see"
        )
    return folder


def _predict_task(
    model: str,
    features: Features,
    convert: dict[str, Column],
    batch_size: int,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        partition = context.partitionId() if context else 0
        columns = _wanted(features)
        assembler: Assembler | None = None
        apply: Predictor | None = None
        row = 0
        for batch in batches:
            for start in range(0, batch.num_rows, batch_size):
                part = batch.slice(start, batch_size)
                located = LocatedBatch(part, Origin(partition, row))
                assembler = assembler or dense_assembler(columns, convert, located)
                apply = apply or load_model(model)
                found = apply(features, assembler.assemble([located]))
                arrays = [*part.columns, as_lists(found)]
                yield pa.record_batch(arrays, names=positions(len(arrays)))
                row += part.num_rows

    return task


def _wanted(features: Features) -> list[Wanted]:
    return list(features.values()) if isinstance(features, Mapping) else [features]


def _check_columns(wanted: Wanted, available: Sequence[str]) -> None:
    """Check that columns exist, as far as this is possible with the names of all columns.

    Raises:
        MissingColumnError: A name cannot be that of a column, a field or a mask.
        UnsupportedColumnError: Several columns have the name.
    """
    if isinstance(wanted, Matrix) and isinstance(wanted.columns, str):
        read = [name for name in available if fnmatchcase(name, wanted.columns)]
        if not read:
            raise MissingColumnError(f"no column of the DataFrame has a name like {wanted}")
    else:
        read = [
            _outer(name, available)
            for name in ([wanted] if isinstance(wanted, str) else wanted.columns)
        ]
    require_single(read, available)


def _outer(name: str, available: Sequence[str]) -> str:
    """Return the column that a name refers to: the column itself, a field of it or its mask."""
    parts = name.split(".")
    outside = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    for possible in (*outside, name.removesuffix(MASK)):
        if possible in available:
            return possible
    raise missing_column(name, available)


def dense_assembler(
    columns: Sequence[Wanted], convert: Mapping[str, Column], sample: LocatedBatch
) -> Assembler:
    """Return an assembler that turns rows into arrays, one for each column.

    Raises:
        ConfigurationError: A column becomes several arrays, or a ragged one.
    """
    assembler = Assembler(columns, convert, sample)
    for name, spec in assembler.specs.items():
        if isinstance(spec, dict) or spec.ragged_rank:
            kind = "a struct" if isinstance(spec, dict) else "ragged"
            raise ConfigurationError(
                f"column {name!r} is {kind}, but predict needs dense tensors; name a field of the "
                "struct, or pad the lists in Spark"
            )
    return assembler


Predictor = Callable[[Features, Mapping[Any, np.ndarray]], np.ndarray]


def load_model(model: str) -> Predictor:
    """Load an exported model, once in a process, and return a function that applies it.

    Spark uses a Python process for many jobs, so a model that was exported again in the meantime is
    loaded again.

    The function takes the features as in `predict` and the columns' arrays, and returns the model's
    only output, shape `(rows, ...)`.
    """
    return _load_files(model, _files(model))


def _files(model: str) -> tuple[tuple[object, ...], ...]:
    """Return path, size and time of each file, which show whether a model was exported again.

    The times have no fractions of a second. So the fingerprint, which TensorFlow 2.13 and newer
    write and which differs with each export, is added with its content.
    """
    import tensorflow as tf

    paths = [
        os.path.join(folder, name) for folder, _, names in tf.io.gfile.walk(model) for name in names
    ]
    stats = {path: tf.io.gfile.stat(path) for path in sorted(paths)}
    files = [(path, found.length, found.mtime_nsec) for path, found in stats.items()]
    fingerprints = []
    for name in stats:
        if os.path.basename(name) == "fingerprint.pb":
            with tf.io.gfile.GFile(name, "rb") as file:
                fingerprints.append((name, file.read()))
    return (*files, *fingerprints)


@functools.lru_cache(maxsize=4)
def _load_files(model: str, files: tuple[tuple[object, ...], ...]) -> Predictor:
    import tensorflow as tf

    # The signature holds its model only weakly, so the function below must hold it.
    loaded = tf.saved_model.load(model)
    if "serving_default" not in loaded.signatures:
        raise ConfigurationError(
            f"the model in {model} has no signature 'serving_default'; write it with ctx.export or "
            "keras.Model.export"
        )
    signature = loaded.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    shapes = {
        name: spec.shape.as_list() if spec.shape.rank else None for name, spec in inputs.items()
    }

    def apply(features: Features, columns: Mapping[Any, np.ndarray]) -> np.ndarray:
        tensors = {}
        for name, column in columns_of_inputs(features, list(inputs), model).items():
            check_kind(columns[column], column, name, np.dtype(inputs[name].dtype.as_numpy_dtype))
            values = as_input(columns[column], column, name, shapes[name])
            tensors[name] = tf.cast(values, inputs[name].dtype)
        outputs = signature(**tensors)
        assert loaded is not None
        return only_output({name: output.numpy() for name, output in outputs.items()}, model)

    return apply


def as_lists(values: np.ndarray) -> pa.Array:
    """Return an array of shape `(rows, ...)` as a column of lists of float32."""
    rows = values.shape[0]
    flat = pa.array(values.reshape(-1).astype(np.float32))
    width = len(flat) // rows if rows else 0
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, flat)
