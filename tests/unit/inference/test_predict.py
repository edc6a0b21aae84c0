"""What predictions take of a DataFrame, and refuse."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tensorsparkml.data.column_options import Column
from tensorsparkml.data.segments import LocatedBatch, Origin
from tensorsparkml.errors import ConfigurationError, ShapeMismatchError
from tensorsparkml.inference.predict import as_input, as_lists, dense_assembler

ROWS = LocatedBatch(
    pa.record_batch({"x": [[1.0, 2.0], [3.0, 4.0]], "person": [{"age": None}, {"age": 4}]}),
    Origin(0, 0),
)


def test_columns_are_converted_as_for_training() -> None:
    convert = {"x": Column(shape=(2, 1), dtype="float32"), "person.age": Column(fill=-1)}
    arrays = dense_assembler(["x", "person.age"], convert, ROWS).assemble([ROWS])
    assert arrays["x"].dtype == np.float32
    assert arrays["x"].tolist() == [[[1.0], [2.0]], [[3.0], [4.0]]]
    assert arrays["person.age"].tolist() == [-1, 4]


@pytest.mark.parametrize(
    ("column", "convert", "kind"),
    [
        ("person", {"person.age": Column(fill=0)}, "a struct"),
        ("x", {"x": Column(shape=(None,))}, "ragged"),
    ],
)
def test_models_are_fed_dense_tensors(column: str, convert: dict[str, Column], kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"column '{column}' is {kind}"):
        dense_assembler([column], convert, ROWS)


def test_numbers_become_rows_of_one_number() -> None:
    assert as_input(np.array([1, 2]), "x", (None, 1)).tolist() == [[1], [2]]
    assert as_input(np.array([1, 2]), "x", (None,)).tolist() == [1, 2]
    assert as_input(np.array([1, 2]), "x", None).tolist() == [1, 2]
    assert as_input(np.zeros((5, 28, 28)), "x", (None, None, 28)).shape == (5, 28, 28)


@pytest.mark.parametrize("shape", [(None,), (None, 3), (3, 2), (None, 2, 1)])
def test_a_column_of_another_shape_is_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ShapeMismatchError, match=r"column 'x' .*\(4, 2\).*convert=\{'x': tsm"):
        as_input(np.zeros((4, 2)), "x", shape)


def test_outputs_are_flattened_into_lists() -> None:
    outputs = np.arange(8).reshape(2, 2, 2)
    assert as_lists(outputs).to_pylist() == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    assert as_lists(outputs[:0]).to_pylist() == []
