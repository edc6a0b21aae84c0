"""What predictions take of a DataFrame, and refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.errors import (
    ConfigurationError,
    ShapeMismatchError,
    UnsupportedColumnError,
)
from tensorsparkml.inference.model_inputs import (
    as_input,
    check_kind,
    columns_of_inputs,
    only_output,
)
from tensorsparkml.inference.predict import as_lists, dense_assembler

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
    assert as_input(np.array([1, 2]), "x", "in", (None, 1)).tolist() == [[1], [2]]
    assert as_input(np.array([1, 2]), "x", "in", (None,)).tolist() == [1, 2]
    assert as_input(np.array([1, 2]), "x", "in", None).tolist() == [1, 2]
    assert as_input(np.zeros((5, 28, 28)), "x", "in", (None, None, 28)).shape == (5, 28, 28)


@pytest.mark.parametrize("shape", [(None,), (None, 3), (3, 2), (None, 2, 1)])
def test_a_column_of_another_shape_is_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ShapeMismatchError, match=r"column 'x' .*\(4, 2\).*convert=\{'x': tsm"):
        as_input(np.zeros((4, 2)), "x", "in", shape)


def test_outputs_are_flattened_into_lists() -> None:
    outputs = np.arange(8).reshape(2, 2, 2)
    assert as_lists(outputs).to_pylist() == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    assert as_lists(outputs[:0]).to_pylist() == []


def test_every_input_of_a_model_has_a_column() -> None:
    assert columns_of_inputs("x", ["keras_tensor"], "m") == {"keras_tensor": "x"}
    assert columns_of_inputs({"a": "x", "b": "x"}, ["b", "a"], "m") == {"a": "x", "b": "x"}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("x", "the model in m has the inputs 'a', 'b', but features='x' is for one"),
        ({"a": "x", "c": "y", "b": "z"}, r"but features names an input 'c' \(for 'y'\)"),
        ({"a": "x"}, "features has no column for 'b'"),
    ],
)
def test_an_input_that_is_not_there_is_named(features: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        columns_of_inputs(features, ["a", "b"], "m")


def test_strings_and_numbers_are_told_apart() -> None:
    strings, numbers = np.array([b"x"], object), np.zeros(1, np.float32)
    check_kind(strings, "name", "text", np.dtype(object))
    check_kind(numbers, "age", "x", np.dtype(np.int64))
    with pytest.raises(
        UnsupportedColumnError, match=r"'name' has strings, but input 'x' of .* int64"
    ):
        check_kind(strings, "name", "x", np.dtype(np.int64))
    with pytest.raises(
        UnsupportedColumnError, match=r"'age' has float32, but input 'text' .* strings"
    ):
        check_kind(numbers, "age", "text", np.dtype(object))


def test_a_model_has_one_output_of_numbers() -> None:
    assert only_output({"y": np.zeros(2)}, "m").shape == (2,)
    with pytest.raises(ConfigurationError, match=r"2 outputs \(y, z\)"):
        only_output({"y": np.zeros(2), "z": np.zeros(2)}, "m")
    with pytest.raises(ConfigurationError, match="output 'y' of the model in m has strings"):
        only_output({"y": np.array([b"x"], object)}, "m")
