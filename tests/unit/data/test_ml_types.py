"""Spark ML's vectors and matrices, dense and sparse in one column, as dense arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conversion import convert

from tensorsparkml.data.columns.convert import column_spec
from tensorsparkml.data.columns.options import Column
from tensorsparkml.errors import NullValueError, RaggedColumnError, ShapeMismatchError

# As Spark hands them over, checked by tests/cluster/test_types.py.
VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        ("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)
MATRIX = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("numRows", pa.int32(), nullable=False),
        pa.field("numCols", pa.int32(), nullable=False),
        ("colPtrs", pa.list_(pa.int32())),
        ("rowIndices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
        pa.field("isTransposed", pa.bool_(), nullable=False),
    ]
)
NUMBERS = st.sampled_from([0.0, 0.0, 1.5, -2.0, 3.0])


def dense(values: list[float]) -> dict[str, Any]:
    return {"type": 1, "values": values}


def sparse(values: list[float]) -> dict[str, Any]:
    indices = [index for index, value in enumerate(values) if value]
    return {
        "type": 0,
        "size": len(values),
        "indices": indices,
        "values": [values[index] for index in indices],
    }


def dense_matrix(rows: list[list[float]], transposed: bool) -> dict[str, Any]:
    lines = rows if transposed else [list(column) for column in zip(*rows, strict=True)]
    return {
        "type": 1,
        "numRows": len(rows),
        "numCols": len(rows[0]),
        "values": [value for line in lines for value in line],
        "isTransposed": transposed,
    }


def sparse_matrix(rows: list[list[float]], transposed: bool) -> dict[str, Any]:
    lines = rows if transposed else [list(column) for column in zip(*rows, strict=True)]
    pointers, indices, values = [0], [], []
    for line in lines:
        for index, value in enumerate(line):
            if value:
                indices.append(index)
                values.append(value)
        pointers.append(len(values))
    return {
        "type": 0,
        "numRows": len(rows),
        "numCols": len(rows[0]),
        "colPtrs": pointers,
        "rowIndices": indices,
        "values": values,
        "isTransposed": transposed,
    }


@st.composite
def vectors(draw: st.DrawFn) -> tuple[list[Any], list[list[float]]]:
    size = draw(st.integers(0, 4))
    rows = draw(st.lists(st.lists(NUMBERS, min_size=size, max_size=size), min_size=1, max_size=8))
    kinds = st.sampled_from([dense, sparse])
    return [draw(kinds)(row) for row in rows], rows


@st.composite
def matrices(draw: st.DrawFn) -> tuple[list[Any], list[list[list[float]]]]:
    height, width = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    row = st.lists(NUMBERS, min_size=width, max_size=width)
    rows = draw(st.lists(st.lists(row, min_size=height, max_size=height), min_size=1, max_size=8))
    kinds = st.sampled_from([dense_matrix, sparse_matrix])
    return [draw(kinds)(matrix, draw(st.booleans())) for matrix in rows], rows


@given(st.data(), st.booleans())
def test_values_of_any_slice(data: st.DataObject, are_vectors: bool) -> None:
    stored, expected = data.draw(vectors() if are_vectors else matrices())
    start = data.draw(st.integers(0, len(stored) - 1))
    column = pa.array([None, *stored, None], VECTOR if are_vectors else MATRIX)
    array = convert(column.slice(1 + start, len(stored) - start))
    np.testing.assert_array_equal(array, np.array(expected[start:], float))


def test_dense_vectors_are_a_view() -> None:
    column = pa.array([dense([1.0, 2.0]), dense([3.0, 4.0]), dense([5.0, 6.0])], VECTOR)
    array = convert(column.slice(1))
    assert array.tolist() == [[3.0, 4.0], [5.0, 6.0]]
    assert array.__array_interface__["data"][0] == column.field(3).values.buffers()[1].address + 16


def test_size_is_that_of_the_first_vector_that_is_there() -> None:
    for first in (dense([1.0, 2.0, 3.0]), sparse([0.0, 0.0, 0.0])):
        column = pa.array([None, first], VECTOR)
        spec = column_spec(pa.field("x", VECTOR), column, Column())
        assert (spec.shape, spec.dtype) == ((3,), np.float64)
    column = pa.array([None, sparse_matrix([[0.0, 1.0]], True)], MATRIX)
    assert column_spec(pa.field("x", MATRIX), column, Column()).shape == (1, 2)


def test_shape_and_dtype_may_be_given() -> None:
    column = pa.array([sparse([0.0, 1.0, 2.0, 3.0]), dense([4.0, 5.0, 6.0, 7.0])], VECTOR)
    array = convert(column, shape=(2, 2, 1), dtype="float32")
    assert array.dtype == np.float32
    assert array.tolist() == [[[[0.0], [1.0]], [[2.0], [3.0]]], [[[4.0], [5.0]], [[6.0], [7.0]]]]
    matrix = pa.array([dense_matrix([[1.0, 2.0]], False)], MATRIX)
    assert convert(matrix, shape=(1, 2, 1)).tolist() == [[[[1.0], [2.0]]]]
    assert convert(pa.array([], VECTOR), shape=(2, 2)).shape == (0, 2, 2)


def test_lists_of_vectors() -> None:
    column = pa.array([[dense([1.0, 0.0]), sparse([0.0, 2.0])]], pa.list_(VECTOR))
    assert convert(column).tolist() == [[[1.0, 0.0], [0.0, 2.0]]]


def test_null_vectors() -> None:
    column = pa.array([dense([1.0, 2.0]), None, sparse([0.0, 3.0])], VECTOR)
    with pytest.raises(NullValueError, match="is null in row 101 of partition 3"):
        convert(column)
    assert convert(column, fill=-1).tolist() == [[1.0, 2.0], [-1.0, -1.0], [0.0, 3.0]]


@pytest.mark.parametrize("kind", [dense, sparse])
def test_a_vector_of_another_size(kind: Any) -> None:
    column = pa.array([dense([1.0, 2.0]), None, sparse([0.0, 0.0]), kind([1.0, 2.0, 3.0])], VECTOR)
    message = "'x'.* has a vector of size 3 in row 103 of partition 3. Vectors of size 2 are exp"
    with pytest.raises(RaggedColumnError, match=message):
        convert(column, fill=0)  # also after rows that are left out


@pytest.mark.parametrize("kind", [dense_matrix, sparse_matrix])
def test_a_matrix_of_other_sizes(kind: Any) -> None:
    square = kind([[1.0, 2.0], [3.0, 4.0]], True)
    column = pa.array([square, kind([[1.0, 2.0, 3.0, 4.0]], True)], MATRIX)
    with pytest.raises(RaggedColumnError, match=r"a matrix of 1 x 4 in row 101.*of 2 x 2 are"):
        convert(column)


def test_shapes_that_do_not_fit() -> None:
    column = pa.array([dense([1.0, 2.0])], VECTOR)
    for shape in [(3,), (None,), ()]:
        with pytest.raises(ShapeMismatchError, match="'x'"):
            convert(column, shape=shape)
