"""Matches columns with a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tensorsparkml.data.columns.options import Matrix, Wanted
from tensorsparkml.errors import ConfigurationError, ShapeMismatchError, UnsupportedColumnError

Features = Wanted | Mapping[str, Wanted]


def columns_of_inputs(features: Features, inputs: Sequence[str], model: str) -> dict[str, Wanted]:
    """Return the column of each input of a model.

    Args:
        features: A column for a model with one input, or columns by input names.
        inputs: Names of the model's inputs.
        model: The model's folder.

    Raises:
        ConfigurationError: An input has no column, or a column has no input.
    """
    has = f"the model in {model} has the inputs {', '.join(map(repr, inputs))}"
    if isinstance(features, str | Matrix):
        if len(inputs) != 1:
            raise ConfigurationError(
                f"{has}, but features={features!r} is for one; pass features={{input: column}}"
            )
        return {inputs[0]: features}
    if unknown := [name for name in features if name not in inputs]:
        name = unknown[0]
        raise ConfigurationError(
            f"{has}, but features names an input {name!r} (for {str(features[name])!r}); use the "
            "names of the model's inputs"
        )
    if lacking := [name for name in inputs if name not in features]:
        raise ConfigurationError(f"{has}, but features has no column for {lacking[0]!r}")
    return dict(features)


def check_kind(values: np.ndarray, column: Wanted, name: str, dtype: np.dtype) -> None:
    """Check that a column and its input both have strings, or both have numbers.

    Args:
        values: The column's values; strings have the dtype object.
        column: Name of the column, or the matrix.
        name: Name of the model's input.
        dtype: The input's dtype.

    Raises:
        UnsupportedColumnError: One has strings, and the other has numbers.
    """
    if (values.dtype.kind == "O") != (dtype.kind == "O"):
        has, wants = (
            "strings" if each.kind == "O" else str(each) for each in (values.dtype, dtype)
        )
        raise UnsupportedColumnError(
            f"column {str(column)!r} has {has}, but input {name!r} of the model takes {wants}; "
            "name another column, or cast this one in Spark"
        )


def only_output(outputs: Mapping[str, np.ndarray], model: str) -> np.ndarray:
    """Return the values of a model's only output.

    Raises:
        ConfigurationError: It has several outputs, or its output has strings.
    """
    if len(outputs) != 1:
        raise ConfigurationError(
            f"the model in {model} has {len(outputs)} outputs ({', '.join(outputs)}), but predict "
            "needs a model with one output; export a model that joins them"
        )
    [(name, values)] = outputs.items()
    if values.dtype.kind == "O":
        raise ConfigurationError(
            f"output {name!r} of the model in {model} has strings, but predict needs numbers; "
            "export a model with a numeric output, or use cluster.inference"
        )
    return values


def as_input(
    values: np.ndarray, column: Wanted, name: str, shape: Sequence[int | None] | None
) -> np.ndarray:
    """Return the values of a column or matrix in the shape of a model's input.

    As in training with Keras, single numbers fit an input with rows of one number.

    Args:
        values: Shape `(rows, ...)`.
        column: Name of the column, or the matrix.
        name: Name of the input.
        shape: Shape of the input, with None for any size; or None for any shape.

    Raises:
        ShapeMismatchError: The input has another shape.
    """
    if shape is None:
        return values
    if values.ndim == 1 and tuple(shape[1:]) == (1,):
        values = values[:, np.newaxis]
    sizes = zip(values.shape, shape, strict=False)
    if values.ndim != len(shape) or any(wanted not in (None, size) for size, wanted in sizes):
        what, advice = f"column {column!r}", f"convert={{{column!r}: tsm.Column(shape=…)}}"
        if isinstance(column, Matrix):
            what, advice = str(column), "a matrix with as many values per row as the input"
        raise ShapeMismatchError(
            f"{what} has the shape {values.shape}, rows included, but input {name!r} of the model "
            f"has the shape {tuple(shape)}; use {advice}"
        )
    return values
