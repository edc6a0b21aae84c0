"""Many columns of numbers → one array, without work in Python for each value or row.

The columns of one type are put one after the other, by Arrow, so that they are converted like a
single column, and copied into their places of the array at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.convert import (
    ColumnSpec,
    check_dtype,
    column_spec,
    mask_spec,
    to_numpy,
)
from tensorsparkml.data.columns.hints import text
from tensorsparkml.data.columns.names import MASK, Names, Place
from tensorsparkml.data.columns.options import Column, Matrix
from tensorsparkml.data.columns.types import check_type, is_binary, is_struct, leaf_type
from tensorsparkml.data.memory import aligned
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.errors import DataError, UnsupportedColumnError

__all__ = ["MatrixSource", "MatrixSpec", "matrix_source"]

# Names of element types that are numbers. Those of dates and times are counted in units that a
# float32 does not hold.
_NUMBERS = {"number", "boolean", "decimal", "Spark ML vector", "Spark ML matrix"}


@dataclass(frozen=True)
class MatrixSpec:
    """What the columns of a matrix become.

    Attributes:
        columns: Their names.
        dtype: NumPy dtype of the tensor.
        shape: Shape of one row: one size, the number of all values.
    """

    columns: tuple[str, ...]
    dtype: np.dtype
    shape: tuple[int]

    ragged_rank: ClassVar[int] = 0


@dataclass(frozen=True)
class _Block:
    """Columns that are converted together.

    Attributes:
        places: Where they are.
        specs: What they become, which differs in the names alone.
        targets: Which columns of the array they are, shape (columns, values of one).
    """

    places: tuple[Place, ...]
    specs: tuple[ColumnSpec, ...]
    targets: np.ndarray

    def write(self, located: LocatedBatch, out: np.ndarray) -> None:
        """Write the values into an array of shape (rows, columns of the array)."""
        columns = [place.take(located.batch) for place in self.places]
        try:
            values = to_numpy(pa.concat_arrays(columns), self.specs[0], str)
        except (DataError, pa.ArrowInvalid):
            for column, spec in zip(columns, self.specs, strict=True):
                to_numpy(column, spec, located.origin.describe)  # names the column and the row
            raise
        count, width = self.targets.shape
        assert isinstance(values, np.ndarray)  # ragged columns were refused
        values = values.reshape(count, len(out), width)
        first, last = int(self.targets[0, 0]), int(self.targets[-1, -1]) + 1
        if last - first == count * width:
            beside = out[:, first:last].reshape(len(out), count, width)
            beside[...] = values.transpose(1, 0, 2)
        else:
            out.T[self.targets] = values.transpose(0, 2, 1)


class MatrixSource:
    """Makes the array of a matrix.

    Args:
        spec: What it becomes.
        blocks: Its columns.
    """

    def __init__(self, spec: MatrixSpec, blocks: Sequence[_Block]) -> None:
        self.spec = spec
        self._blocks = blocks

    def convert(self, slices: Sequence[LocatedBatch]) -> np.ndarray:
        """Return an array of shape (rows, *spec.shape), in aligned memory of its own.

        Raises:
            DataError: A value does not fit; the message names its column and row.
        """
        rows = sum(located.batch.num_rows for located in slices)
        together = aligned.empty((rows, *self.spec.shape), self.spec.dtype)
        begin = 0
        for located in slices:
            end = begin + located.batch.num_rows
            for block in self._blocks:
                block.write(located, together[begin:end])
            begin = end
        return together


def matrix_source(matrix: Matrix, names: Names, sample: pa.RecordBatch) -> MatrixSource:
    """Return what makes the array of a matrix.

    Args:
        matrix: What is asked for.
        names: What can be named.
        sample: A batch that tells the lengths of lists.

    Raises:
        MissingColumnError: The feed lacks a column.
        UnsupportedColumnError: A column does not hold numbers, or not such that fit the dtype.
    """
    columns = tuple(names.of_matrix(matrix))
    together: dict[object, list[tuple[Place, ColumnSpec, int]]] = {}
    width = 0
    for name in columns:
        place, is_mask = names.look_up(name)
        spec = _column(place, matrix, names.options(place), sample)
        if is_mask:
            spec = mask_spec(spec, name)
        # repr, because NaN does not equal itself.
        alike = (spec.type, spec.shape, spec.dtype, repr(spec.fill), spec.packed, is_mask)
        together.setdefault(alike, []).append((place, spec, width))
        width += math.prod(spec.inner_shape)
    blocks = []
    for members in together.values():
        places, specs, begins = zip(*members, strict=True)
        values = math.prod(specs[0].inner_shape)
        if values:
            blocks.append(_Block(places, specs, np.add.outer(begins, np.arange(values))))
    return MatrixSource(MatrixSpec(columns, matrix.dtype, (width,)), blocks)


def _column(place: Place, matrix: Matrix, options: Column, sample: pa.RecordBatch) -> ColumnSpec:
    """Return what one column of a matrix becomes."""
    field = place.field
    kind = f"Column {field.name!r} of type {text(field.type)}"
    if is_struct(field.type):
        inner = ", ".join(repr(each.field.name) for each in place.fields())
        raise UnsupportedColumnError(
            f"{kind} is a struct, but a tsm.Matrix needs columns of numbers; name its fields: "
            f"{inner}"
        )
    packed = is_binary(leaf_type(field.type)) and options.dtype is not None
    if check_type(field).name not in _NUMBERS and not packed:
        raise UnsupportedColumnError(
            f"{kind} does not hold numbers, but a tsm.Matrix needs columns of numbers; name it "
            "outside the matrix, or convert it to numbers in Spark"
        )
    if options.dtype is None:
        options = replace(options, dtype=matrix.dtype)
    if options.fill is None:
        options = replace(options, fill=matrix.fill)
    spec = column_spec(field, place.take(sample), options)
    if spec.ragged_rank:
        raise UnsupportedColumnError(
            f"{kind} has the requested shape {options.shape} with lists of any length, which "
            f"cannot be in a tsm.Matrix; name it outside the matrix, without {MASK!r}"
        )
    check_dtype(field, spec.dtype, matrix.dtype)
    return spec
