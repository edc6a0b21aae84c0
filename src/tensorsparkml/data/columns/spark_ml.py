"""Vectors and matrices of Spark ML, dense and sparse, as dense arrays.

Spark hands them over as structs, the storage form of `pyspark.ml.linalg.VectorUDT` and `MatrixUDT`,
in which `type` is 0 for sparse and 1 for dense. One column may hold both kinds. All rows of a kind
are converted together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.misfit import Misfit
from tensorsparkml.errors import RaggedColumnError

_VECTOR = {"type", "size", "indices", "values"}
_MATRIX = {"type", "numRows", "numCols", "colPtrs", "rowIndices", "values", "isTransposed"}
_DENSE = 1

Fields = dict[str, pa.Array]


def is_vector(type_: pa.DataType) -> bool:
    """Return whether the type is that of Spark ML's vectors."""
    return _has_fields(type_, _VECTOR)


def is_matrix(type_: pa.DataType) -> bool:
    """Return whether the type is that of Spark ML's matrices."""
    return _has_fields(type_, _MATRIX)


def vector_sizes(values: pa.Array) -> tuple[int, ...]:
    """Return the size of the first vector."""
    return (int(_vector_sizes(_fields(values.slice(0, 1)))[0]),)


def matrix_sizes(values: pa.Array) -> tuple[int, ...]:
    """Return rows and columns of the first matrix."""
    first = values[0]
    return first["numRows"].as_py(), first["numCols"].as_py()


def vectors(values: pa.Array, sizes: tuple[int, ...]) -> np.ndarray:
    """Convert vectors to an array of shape (len(values), size), float64.

    Raises:
        Misfit: A vector has another size.
    """
    fields = _fields(values)
    found = _vector_sizes(fields)
    _check(
        found == sizes[0],
        lambda index: f"a vector of size {found[index]}",
        f"Vectors of size {sizes[0]}",
    )
    dense = _numbers(fields["type"]) == _DENSE
    return _by_layout(values, sizes, [(dense, _dense), (~dense, _sparse_vectors)])


def matrices(values: pa.Array, sizes: tuple[int, ...]) -> np.ndarray:
    """Convert matrices to an array of shape (len(values), rows, columns), float64.

    Raises:
        Misfit: A matrix has other sizes.
    """
    fields = _fields(values)
    rows, columns = _numbers(fields["numRows"]), _numbers(fields["numCols"])
    _check(
        (rows == sizes[0]) & (columns == sizes[1]),
        lambda index: f"a matrix of {rows[index]} x {columns[index]}",
        f"Matrices of {sizes[0]} x {sizes[1]}",
    )
    dense = _numbers(fields["type"]) == _DENSE
    by_row = _numbers(fields["isTransposed"])
    return _by_layout(
        values,
        sizes,
        [
            (dense & by_row, _dense),
            (dense & ~by_row, _by_column(_dense)),
            (~dense & by_row, _sparse_matrices),
            (~dense & ~by_row, _by_column(_sparse_matrices)),
        ],
    )


Layout = Callable[[Fields, tuple[int, ...]], np.ndarray]


def _by_layout(
    values: pa.Array, sizes: tuple[int, ...], layouts: Iterable[tuple[np.ndarray, Layout]]
) -> np.ndarray:
    """Convert the values of each layout together; where all have the same, without a copy."""
    result: np.ndarray | None = None
    for chosen, convert in layouts:
        if chosen.all():
            return np.ascontiguousarray(convert(_fields(values), sizes))
        if chosen.any():
            result = np.empty((len(values), *sizes)) if result is None else result
            result[chosen] = convert(_fields(values.filter(pa.array(chosen))), sizes)
    assert result is not None  # every value has a layout
    return result


def _dense(fields: Fields, sizes: tuple[int, ...]) -> np.ndarray:
    return _flat(fields["values"]).reshape(len(fields["values"]), *sizes)


def _sparse_vectors(fields: Fields, sizes: tuple[int, ...]) -> np.ndarray:
    counts = _lengths(fields["values"])
    result = np.zeros((len(counts), *sizes))
    row = np.repeat(np.arange(len(counts)), counts)
    result[row, _flat(fields["indices"])] = _flat(fields["values"])
    return result


def _sparse_matrices(fields: Fields, sizes: tuple[int, ...]) -> np.ndarray:
    """Convert compressed sparse rows; the fields' names are those of compressed columns."""
    count, (rows, _) = len(fields["values"]), sizes
    counts = np.diff(_flat(fields["colPtrs"]).reshape(count, rows + 1)).reshape(-1)
    result = np.zeros((count * rows, sizes[1]))
    row = np.repeat(np.arange(count * rows), counts)
    result[row, _flat(fields["rowIndices"])] = _flat(fields["values"])
    return result.reshape(count, *sizes)


def _by_column(convert: Layout) -> Layout:
    """Convert matrices that are stored column by column, the transposed of those by row."""
    return lambda fields, sizes: convert(fields, sizes[::-1]).transpose(0, 2, 1)


def _check(fits: np.ndarray, name: Callable[[int], str], expected: str) -> None:
    if not fits.all():
        index = int(np.argmin(fits))
        raise Misfit(
            RaggedColumnError,
            index,
            f"has {name(index)}",
            f"{expected} are expected, because all rows of a column must have the same size. "
            "Correct or drop other rows in Spark.",
        )


def _vector_sizes(fields: Fields) -> np.ndarray:
    # A dense vector does not say its size.
    sparse = _numbers(fields["size"].fill_null(0))
    return np.where(_numbers(fields["type"]) == _DENSE, _lengths(fields["values"]), sparse)


def _has_fields(type_: pa.DataType, names: set[str]) -> bool:
    return pa.types.is_struct(type_) and names == {field.name for field in type_}


def _fields(values: pa.Array) -> Fields:
    return dict(zip((field.name for field in values.type), values.flatten(), strict=True))


def _numbers(values: pa.Array) -> np.ndarray:
    array: np.ndarray = values.to_numpy(zero_copy_only=False)
    return array


def _lengths(lists: pa.Array) -> np.ndarray:
    return np.diff(lists.offsets.to_numpy())


def _flat(lists: pa.Array) -> np.ndarray:
    return _numbers(lists.flatten())
