"""What programs reply → record batches of the schema that the driver gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tensorsparkml.data.inference.outputs import to_record_batch
from tensorsparkml.errors import DataError, MissingColumnError, NullValueError, ShapeMismatchError


class Tensor:
    """As TensorFlow's: NumPy sees it as an array."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array([1.0, 2.0], np.float32)


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        (pa.float32(), np.array([1.5, 2.5]), [1.5, 2.5]),
        (pa.float32(), np.array([[1.5], [2.5]], np.float32), [1.5, 2.5]),
        (pa.float32(), [1.5, None], [1.5, None]),
        (pa.float32(), Tensor(), [1.0, 2.0]),
        (pa.int32(), np.array([3, 4], np.int64), [3, 4]),
        (pa.float64(), np.arange(2), [0.0, 1.0]),
        (pa.bool_(), np.array([True, False]), [True, False]),
        (pa.string(), ["a", "b"], ["a", "b"]),
        (pa.string(), np.array(["a", "b"]), ["a", "b"]),
        (pa.string(), np.array(["a", None], object), ["a", None]),
        (pa.binary(), [b"a", b""], [b"a", b""]),
        (pa.list_(pa.float32()), np.array([[1, 2], [3, 4]], np.float32), [[1, 2], [3, 4]]),
        (pa.list_(pa.float32()), np.array([1, 2], np.float32), [[1], [2]]),
        (pa.list_(pa.float64()), np.zeros((2, 1, 3)), [[0, 0, 0]] * 2),
        (pa.list_(pa.float32()), [np.zeros(1), np.ones(2)], [[0], [1, 1]]),
        (pa.list_(pa.float32()), [[1], []], [[1], []]),
        (pa.list_(pa.list_(pa.int8())), np.ones((2, 2, 1), np.int8), [[[1], [1]]] * 2),
        (pa.struct([("a", pa.int8())]), [{"a": 1}, None], [{"a": 1}, None]),
        (pa.float32(), pa.array([1, 2], pa.int64()), [1.0, 2.0]),
        (pa.float32(), pa.chunked_array([[1.0], [2.0]]), [1.0, 2.0]),
    ],
)
def test_values_become_the_type_of_the_schema(type_: Any, values: Any, expected: list[Any]) -> None:
    schema = pa.schema([("y", type_)])
    batch = to_record_batch({"y": values}, schema)
    assert batch.schema == schema
    assert batch.column("y").to_pylist() == expected
    batch.validate(full=True)


def test_columns_get_the_order_of_the_schema() -> None:
    schema = pa.schema([("a", pa.int32()), ("b", pa.int32())])
    assert to_record_batch({"b": [2], "a": [1]}, schema).to_pylist() == [{"a": 1, "b": 2}]
    batch = pa.record_batch({"b": [2], "a": [1]})
    assert to_record_batch(batch, schema).to_pylist() == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("rows", [0, 3])
def test_any_number_of_rows(rows: int) -> None:
    schema = pa.schema([("a", pa.list_(pa.float32())), ("b", pa.float32())])
    found = to_record_batch({"a": np.zeros((rows, 5)), "b": np.zeros((rows, 1))}, schema)
    assert found.num_rows == rows
    assert to_record_batch({"a": [], "b": []}, schema).num_rows == 0


FLOAT = pa.schema([("prediction", pa.float32())])


@pytest.mark.parametrize(
    ("results", "kind", "texts"),
    [
        ({"predictions": [1.0]}, MissingColumnError, ["'prediction'", "it has predictions"]),
        ({"prediction": [1.0], "x": [1]}, DataError, ["'x'", "leave it out"]),
        ({"prediction": np.zeros((2, 3))}, ShapeMismatchError, ["'prediction'", "(2, 3)", "float"]),
        ({"prediction": ["one"]}, DataError, ["'prediction'", "float", "a list"]),
        ({"prediction": np.array(["one"])}, DataError, ["'prediction'", "<U3", "(1,)"]),
        ({"prediction": 7}, DataError, ["'prediction'", "int"]),
        ([1.0], DataError, ["not a list", "{'prediction': ...}"]),
    ],
)
def test_what_does_not_fit_is_named(results: Any, kind: type[DataError], texts: list[str]) -> None:
    with pytest.raises(kind) as caught:
        to_record_batch(results, FLOAT)
    for text in texts:
        assert text in caught.value.message


def test_numbers_are_not_cut_off() -> None:
    schema = pa.schema([("label", pa.int8())])
    for values in (np.array([300]), np.array([1.5])):
        with pytest.raises(DataError, match="'label'"):
            to_record_batch({"label": values}, schema)


def test_columns_of_different_lengths() -> None:
    schema = pa.schema([("a", pa.int32()), ("b", pa.int32())])
    with pytest.raises(DataError, match="'a' 2, 'b' 1"):
        to_record_batch({"a": [1, 2], "b": [1]}, schema)


def test_a_null_where_the_schema_has_none() -> None:
    schema = pa.schema([pa.field("label", pa.int32(), nullable=False)])
    with pytest.raises(NullValueError, match="'label'"):
        to_record_batch({"label": [1, None]}, schema)
