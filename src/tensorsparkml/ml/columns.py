"""The columns of a model's inputs and outputs, from params."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorsparkml.data.columns.options import Matrix
from tensorsparkml.inference.models.signature import TensorSpec
from tensorsparkml.inference.outputs import Output
from tensorsparkml.ml.fitting.plan import Features


def features_of(inputs: Mapping[str, Any] | None, features_col: str) -> Features:
    """Return the columns of a model's inputs, from the params.

    Args:
        inputs: Columns by the names of the inputs, or None.
        features_col: The column of the only input.
    """
    if inputs is None:
        return features_col
    found = {name: each if isinstance(each, str) else Matrix(each) for name, each in inputs.items()}
    # Keras numbers inputs that have no name, so that of a single one does not matter.
    return found if len(found) > 1 else next(iter(found.values()))


def numbers_of(output: TensorSpec) -> Output:
    """Return the column of a model's only output: single numbers as doubles, as in Spark ML."""
    single = output.row_shape in ((), (1,))
    return Output(output.name, type="double" if single else None)
