"""Columns become what the inputs of a model take, or are refused with their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tensorsparkml.data.columns.options import Column, Matrix
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    MissingColumnError,
    NullValueError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)
from tensorsparkml.inference.engine.decoding import ImageDecoder, RowDecoder
from tensorsparkml.inference.engine.inputs import Input, InputAssembler
from tensorsparkml.inference.features import check_columns, columns_of_inputs, decoder, of_each
from tensorsparkml.inference.models.signature import Shape, TensorSpec

VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
COLUMNS = {
    "x": pa.array([1.5, 2.5, 3.5], pa.float64()),
    "n": pa.array([1, 2, 300], pa.int64()),
    "flag": pa.array([True, False, True]),
    "name": ["a", "b", "c"],
    "six": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]] * 3,
    "grid": [[[1.0, 2.0], [3.0, 4.0]]] * 3,
    "lists": [[1.0], [2.0, 3.0, 4.0], [5.0, 6.0]],
    "deep": [[[1.0], [2.0, 3.0]], [[4.0]], [[5.0, 6.0], [7.0]]],
    "holes": pa.array([1.0, None, 3.0]),
    "bytes": [b"\x01\x02", b"\x03\x04", b"\x05\xff"],
    "person": [{"age": 1.0}, {"age": 2.0}, {"age": 3.0}],
    "vector": pa.array(
        [
            {"type": 1, "size": None, "indices": None, "values": [1.0, 2.0]},
            {"type": 0, "size": 2, "indices": [1], "values": [5.0]},
            {"type": 1, "size": None, "indices": None, "values": [3.0, 4.0]},
        ],
        VECTOR,
    ),
}
ROWS = LocatedBatch(pa.record_batch(COLUMNS), Origin(4, 10))


def spec(dtype: str, *shape: int | None, ragged: bool = False) -> TensorSpec:
    return TensorSpec("in", dtype, (None, *shape), ragged)


def given(wanted: Any, spec: TensorSpec | None, convert: Any = None, **options: Any) -> Any:
    """Return what an input gets of the rows; the driver's check must agree that it fits."""
    inputs = [Input("in", spec, wanted, **options)]
    check_columns(inputs, ROWS.batch.schema, convert or {})
    # In two parts, as where Spark's record batches are joined.
    parts = [
        LocatedBatch(ROWS.batch.slice(0, 2), ROWS.origin),
        LocatedBatch(ROWS.batch.slice(2), ROWS.origin.moved(2)),
    ]
    return InputAssembler(inputs, convert or {}, parts[0]).assemble(parts)["in"]


@pytest.mark.parametrize(
    ("column", "wanted", "values"),
    [
        ("x", spec("float32"), [1.5, 2.5, 3.5]),
        ("x", spec("float32", 1), [[1.5], [2.5], [3.5]]),
        ("x", TensorSpec("in", "float32", None), [1.5, 2.5, 3.5]),
        ("n", spec("float64"), [1.0, 2.0, 300.0]),
        ("n", spec("int32", 1), [[1], [2], [300]]),
        ("flag", spec("float32"), [1.0, 0.0, 1.0]),
        ("flag", spec("bool"), [True, False, True]),
        ("name", spec("string", 1), [[b"a"], [b"b"], [b"c"]]),
        ("six", spec("float32", 2, 3), [[[1, 2, 3], [4, 5, 6]]] * 3),
        ("six", spec("float32", None, 2), [[[1, 2], [3, 4], [5, 6]]] * 3),
        ("grid", spec("float32", 4), [[1, 2, 3, 4]] * 3),
        ("grid", spec("bfloat16", 2, 2), [[[1, 2], [3, 4]]] * 3),
        ("bytes", spec("uint8", 2), [[1, 2], [3, 4], [5, 255]]),
        ("person.age", spec("float32"), [1.0, 2.0, 3.0]),
        ("vector", spec("float32", 2), [[1, 2], [0, 5], [3, 4]]),
    ],
)
def test_what_fits(column: str, wanted: TensorSpec, values: Any) -> None:
    found = given(column, wanted)
    assert found.tolist() == values
    expected = {"string": "O", "bfloat16": "float32"}.get(wanted.dtype, wanted.dtype)
    assert found.dtype == np.dtype(expected)


def test_options_are_those_of_training() -> None:
    assert given("holes", spec("float32"), {"holes": Column(fill=-1)}).tolist() == [1, -1, 3]
    packed = {"bytes": Column(dtype="uint8")}
    assert given("bytes", spec("float32", 2), packed).tolist() == [[1, 2], [3, 4], [5, 255]]
    assert given(Matrix(["x", "n"]), spec("float32", 2)).tolist() == [
        [1.5, 1],
        [2.5, 2],
        [3.5, 300],
    ]


def test_a_function_gets_columns_as_they_are() -> None:
    assert given("grid", None).shape == (3, 2, 2)
    assert given("name", None).tolist() == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("column", "shape", "values"),
    [
        ("lists", (None,), [[1, 0, 0], [2, 3, 4], [5, 6, 0]]),
        ("lists", (4,), [[1, 0, 0, 0], [2, 3, 4, 0], [5, 6, 0, 0]]),
        ("deep", (None, None), [[[1, 0], [2, 3]], [[4, 0], [0, 0]], [[5, 6], [7, 0]]]),
        ("grid", (None, 2), [[[1, 2], [3, 4]]] * 3),
    ],
)
def test_lists_are_padded(column: str, shape: Shape, values: Any) -> None:
    assert given(column, spec("float32", *shape), pad=0).tolist() == values


def test_lists_of_one_length_need_no_padding() -> None:
    assert given("six", spec("float32", None)).shape == (3, 6)


def test_a_ragged_input_gets_ragged_rows() -> None:
    found = given("lists", spec("float32", None, ragged=True))
    assert isinstance(found, Ragged)
    assert found.values.dtype == np.float32
    assert [split.tolist() for split in found.row_splits] == [[0, 1, 4, 6]]


def test_a_function_decodes_binaries() -> None:
    decode = RowDecoder(lambda value: np.frombuffer(value, np.uint8)[::-1])
    assert given("bytes", spec("int32", 2), decoder=decode).tolist() == [[2, 1], [4, 3], [255, 5]]


def test_what_is_decoded_has_one_shape() -> None:
    with pytest.raises(DataError, match="different shapes"):
        given("bytes", None, decoder=RowDecoder(lambda value: np.zeros(value[0])))


@pytest.mark.parametrize(
    ("wanted", "options", "kind", "words"),
    [
        ("missing", {}, MissingColumnError, "'missing'"),
        ("name", {}, UnsupportedColumnError, "column 'name' has strings, but input 'in'"),
        ("person", {}, ConfigurationError, "is a struct, .*: 'person.age'"),
        ("x", {"decoder": RowDecoder(len)}, UnsupportedColumnError, "'x' .* cannot be decoded"),
    ],
)
def test_what_cannot_fit_is_known_from_the_types(
    wanted: Any, options: Any, kind: type[Exception], words: str
) -> None:
    inputs = [Input("in", spec("float32"), wanted, **options)]
    with pytest.raises(kind, match=words):
        check_columns(inputs, ROWS.batch.schema, {})


@pytest.mark.parametrize(
    ("column", "wanted", "words"),
    [
        ("x", spec("int32"), "'x' has float64, but input 'in' of the model takes int32"),
        ("x", spec("string"), "'x' has float64, but input 'in' of the model takes strings"),
        ("n", spec("bool"), "'n' has int64"),
        ("x", spec("float32", 3), "'x' has single values, but input 'in' .*\\(3,\\)"),
    ],
)
def test_types_and_shapes_are_compared(column: str, wanted: TensorSpec, words: str) -> None:
    with pytest.raises((UnsupportedColumnError, ShapeMismatchError), match=words):
        check_columns([Input("in", wanted, column)], ROWS.batch.schema, {})


@pytest.mark.parametrize(
    ("column", "wanted", "options", "kind", "words"),
    [
        ("holes", spec("float32"), {}, NullValueError, "null in row 11 of partition 4"),
        ("n", spec("uint8"), {}, UnsupportedColumnError, "the value 300, which uint8 does not"),
        ("six", spec("float32", 5), {}, ShapeMismatchError, r"\(6,\), but input 'in' .*\(5,\)"),
        ("grid", spec("float32", 3, None), {}, RaggedColumnError, "2 in row 10 .* takes 3; fill"),
        (
            "lists",
            spec("float32", None),
            {},
            RaggedColumnError,
            r"list of length 3 in row 11 of partition 4, .* pad=\{'lists': 0\}",
        ),
        (
            "lists",
            spec("float32", 2),
            {"pad": 0},
            RaggedColumnError,
            "length 3 in row 11 of partition 4, but input 'in' of the model takes 2; cut",
        ),
        ("deep", spec("float32", None, None), {}, RaggedColumnError, "in row 1. of partition 4"),
    ],
)
def test_what_a_task_finds_is_named(
    column: str, wanted: TensorSpec, options: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        given(column, wanted, **options)


ONE = [spec("float32", 2)]
TWO = [TensorSpec("a", "float32", (None,)), TensorSpec("b", "float32", (None,))]


def test_every_input_has_a_column() -> None:
    assert columns_of_inputs("x", ONE, "the model") == {"in": "x"}
    assert columns_of_inputs(["x", "y"], TWO, "the model") == {"a": "x", "b": "y"}
    assert columns_of_inputs({"b": "x", "a": "y"}, TWO, "m") == {"a": "y", "b": "x"}
    matrix = Matrix(["x", "y"])
    assert columns_of_inputs(matrix, ONE, "the model") == {"in": matrix}
    assert columns_of_inputs(["x", "y"], None, "f") == {"x": "x", "y": "y"}
    assert columns_of_inputs({"a": "x"}, None, "f") == {"a": "x"}


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ("x", "m has the inputs 'a', 'b', but features has 1 columns"),
        ({"a": "x"}, "no column for 'b'"),
        ({"a": "x", "b": "x", "c": "y"}, "names an input 'c' \\(for 'y'\\)"),
    ],
)
def test_an_input_that_is_not_there_is_named(features: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        columns_of_inputs(features, TWO, "m")


def test_options_are_for_inputs() -> None:
    columns = {"a": "x", "b": "y"}
    assert of_each("pad", 0, {"a": "x"}) == {"a": 0}
    assert of_each("pad", {"y": 1}, columns) == {"b": 1}
    with pytest.raises(ConfigurationError, match="pad=0 is for one input, but there are 2"):
        of_each("pad", 0, columns)
    with pytest.raises(ConfigurationError, match="pad names the column 'z', which no input gets"):
        of_each("pad", {"z": 0}, columns)


def test_images_have_a_size() -> None:
    wanted = decoder("in", "image", spec("uint8", 28, 30, 3))
    assert wanted == ImageDecoder(28, 30, 3, "uint8")
    for shape in [spec("uint8", 28, 28), spec("uint8", None, None, 3), None]:
        with pytest.raises(ConfigurationError, match='decode="image" needs an input of the shape'):
            decoder("in", "image", shape)
    with pytest.raises(ConfigurationError, match='must be "image" or a function'):
        decoder("in", "jpeg", None)
