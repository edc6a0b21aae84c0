"""What a model returns becomes columns of Spark's types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.inference.engine.results import to_column, top_k
from tensorsparkml.inference.models.signature import Signature, TensorSpec
from tensorsparkml.inference.outputs import Output, Result, check_outputs, results, spark_type

SCORES = TensorSpec("scores", "float32", (None, 3))
LABEL = TensorSpec("label", "string", (None,))
BOTH = Signature((), (LABEL, SCORES))
ONE = Signature((), (SCORES,))


@pytest.mark.parametrize(
    ("dtype", "shape", "type_"),
    [
        ("float32", (None,), "float"),
        ("float32", (None, 1), "float"),
        ("float16", (None,), "float"),
        ("bfloat16", (8, 4), "array<float>"),
        ("float64", (None, 4, 3), "array<array<double>>"),
        ("int64", (None,), "bigint"),
        ("uint8", (None, None, 3), "array<array<smallint>>"),
        ("uint32", (None,), "bigint"),
        ("bool", (None, 2), "array<boolean>"),
        ("string", (None,), "string"),
    ],
)
def test_outputs_have_types_of_their_own(dtype: str, shape: Any, type_: str) -> None:
    assert spark_type(TensorSpec("y", dtype, shape), Output(), "m") == type_


@pytest.mark.parametrize(
    ("output", "type_"),
    [
        (Output(argmax=True), "bigint"),
        (Output(top_k=2), "array<struct<index:bigint,value:float>>"),
        (Output(type="vector"), "array<double>"),
        (Output(type="array<double>"), "array<double>"),
        (Output(function=list, type="string"), "string"),
    ],
)
def test_what_becomes_of_an_output_decides_its_type(output: Output, type_: str) -> None:
    assert spark_type(SCORES, output, "m") == type_


@pytest.mark.parametrize(
    ("spec", "output", "words"),
    [
        (TensorSpec("y", "complex64", (None,)), Output(), "dtype complex64"),
        (TensorSpec("y", "float32", None), Output(), r"any shape; .* type='array<float>'"),
        (LABEL, Output(argmax=True), "single values, of which none is the largest"),
    ],
)
def test_what_has_no_type_is_refused(spec: TensorSpec, output: Output, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        spark_type(spec, output, "m")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"argmax": True, "top_k": 2}, "one of argmax, top_k and function"),
        ({"function": len}, "needs the Spark type"),
        ({"argmax": True, "type": "int"}, "a type of its own"),
        ({"top_k": 0}, "top_k of a tsm.Output must be an integer of at least 1"),
        ({"name": ""}, "name of a tsm.Output"),
    ],
)
def test_an_output_is_checked_at_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Output(**arguments)


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (None, {"label": "label", "scores": "scores"}),
        (["scores"], {"scores": "scores"}),
        ("label", {"label": "label"}),
        ({"a": "label", "b": Output("scores", argmax=True)}, {"a": "label", "b": "scores"}),
    ],
)
def test_outputs_become_columns(asked: Any, columns: dict[str, str]) -> None:
    found = results(check_outputs("outputs", asked), BOTH, "the model")
    assert {each.column: each.source for each in found} == columns


def test_the_only_output_needs_no_name() -> None:
    [found] = results(check_outputs("outputs", {"best": Output(argmax=True)}), ONE, "m")
    assert (found.column, found.source, found.type) == ("best", "scores", "bigint")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["other"], "m has no output 'other'; it has label, scores"),
        ({"x": Output()}, "m has several outputs; it has label, scores"),
        ([], "outputs must be"),
        ([Output()], "outputs must be"),
        ({"x": 1}, "outputs must be"),
        (["label", "label"], "outputs must be"),
    ],
)
def test_an_output_that_is_not_there_is_named(asked: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        results(check_outputs("outputs", asked), BOTH, "m")


def column(values: Any, type_: pa.DataType, **options: Any) -> Any:
    result = Result("y", "y", str(type_), Output("y", **options))
    return to_column({"y": values}, [result], [type_], 2).to_pylist()


FLOATS = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (np.array([1, 2], np.float32), pa.float32(), [1, 2]),
        (np.array([[1], [2]], np.float32), pa.float32(), [1, 2]),
        (np.array([1, 2], np.float16), pa.float32(), [1, 2]),
        (np.array([1, 2, 9], np.int32), pa.int64(), [1, 2]),
        (np.ones((2, 2), np.float32), FLOATS, [[1, 1], [1, 1]]),
        (np.ones((2, 1, 2), np.float32), pa.list_(FLOATS), [[[1, 1]], [[1, 1]]]),
        (np.array([b"a", "ä".encode()], object), pa.string(), ["a", "ä"]),
        (np.array([[b"a"], [b"b"]], object), pa.string(), ["a", "b"]),
        (np.array([[b"a", b"b"]] * 2, object), pa.list_(pa.string()), [["a", "b"]] * 2),
        (np.zeros((2, 0), np.float32), FLOATS, [[], []]),
    ],
)
def test_arrays_become_columns(values: Any, type_: pa.DataType, expected: Any) -> None:
    assert column(values, type_) == expected


def test_several_outputs_become_a_struct() -> None:
    wanted = [Result("a", "y", "int", Output()), Result("b", "y", "bigint", Output(argmax=True))]
    returned = {"y": np.array([[3, 1], [1, 3]])}
    found = to_column(returned, wanted, [pa.list_(pa.int64()), pa.int64()], 2)
    assert found.to_pylist() == [{"a": [3, 1], "b": 0}, {"a": [1, 3], "b": 1}]


def test_the_largest_come_first() -> None:
    found = top_k(np.array([[1, 5, 5], [7, 2, 3]], np.uint8), 2).to_pylist()
    assert found == [
        [{"index": 1, "value": 5}, {"index": 2, "value": 5}],
        [{"index": 0, "value": 7}, {"index": 2, "value": 3}],
    ]
    assert len(top_k(np.ones((2, 3)), 9)[0]) == 3
    assert len(top_k(np.ones((2, 3, 4)), 1)[0]) == 3


def test_a_function_may_return_a_list() -> None:
    values = np.array([[1.0], [2.0]])
    assert column(
        values, pa.string(), function=lambda y: [str(v[0]) for v in y], type="string"
    ) == [
        "1.0",
        "2.0",
    ]


@pytest.mark.parametrize(
    ("values", "type_", "words"),
    [
        (np.array([1.0]), pa.float32(), r"shape \(1,\) for output 'y' and 2 rows"),
        (np.float32(1), pa.float32(), "one element for each row"),
        (np.ones((2, 3)), pa.float32(), r"float64 of shape \(2, 3\) for 2 rows"),
        (np.array([2.0**40, 1]), pa.int8(), "cannot become int8"),
        (np.array([b"\xff", b"a"], object), pa.string(), "cannot become string"),
    ],
)
def test_what_does_not_fit_is_named(values: Any, type_: pa.DataType, words: str) -> None:
    with pytest.raises(DataError, match=words):
        column(values, type_)


def test_an_output_that_was_not_returned_is_named() -> None:
    with pytest.raises(DataError, match="no output 'y'; it returned a, b"):
        to_column({"a": 1, "b": 2}, [Result("y", "y", "int", Output("y"))], [pa.int32()], 1)
