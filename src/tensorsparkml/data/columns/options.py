"""`Column` and `Matrix`: how columns become tensors, if not by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from tensorsparkml.checks import integer, optional, refuse, shown, switch
from tensorsparkml.errors import ConfigurationError


@dataclass(frozen=True)
class Column:
    """How one column becomes a tensor: `convert={"image": tsm.Column(shape=(28, 28, 1))}`.

    Attributes:
        shape: Shape of one row, without the batch dimension. Trailing sizes divide the innermost
            list or vector: a list of 784 numbers can be (28, 28, 1). A size of None allows lists of
            any length, and the column becomes a ragged tensor: (None,) for a list of numbers,
            (None, 128) for a list of lists of 128 numbers, (None, None) for a list of lists.
        dtype: dtype of the elements, such as "float32": a floating-point one, or one that holds
            every value of the column's type. The bytes of a binary column are read as numbers of
            this dtype, which form its innermost list. Not for strings.
        fill: The value that replaces nulls: null values, null elements of lists, and all elements
            of a row that is null or is in a null struct. Null lists of a ragged tensor become empty
            lists. It has the tensor's element type: a number, a bool, a str or bytes.
        mask: Whether to add a tensor `<column>_mask` of dtype bool with the column's shape: True
            where there is a value, False where there was a null. Without `fill`, nulls become zero,
            False or an empty string.

    Raises:
        ConfigurationError: An argument has the wrong type, or is not a valid shape or dtype.
    """

    shape: tuple[int | None, ...] | None = None
    dtype: Any = None
    fill: Any = None
    mask: bool = False

    def __post_init__(self) -> None:
        """Check the arguments, as far as this is possible without the column."""
        object.__setattr__(self, "shape", _shape(self.shape))
        if self.dtype is not None:
            _known_dtype("tsm.Column", self.dtype)
        if not isinstance(self.fill, Real | np.generic | str | bytes | None):
            refuse("fill of a tsm.Column", "a number, a bool, a str or bytes", self.fill)
        switch("mask of a tsm.Column", self.mask)


@dataclass(frozen=True)
class Matrix:
    """Many numeric columns as one tensor: `features=tsm.Matrix(["age", "height", "weight"])`.

    It can be used in place of a column name, for features, labels, feeds and predictions. A row of
    the tensor has the values of all columns, concatenated. Booleans become 0 or 1, decimals the
    nearest float64. A column of lists or vectors of one length gives one value per element.
    `convert` applies to the columns of a matrix too.

    Attributes:
        columns: Names of columns or struct fields, in order; or a pattern for `fnmatch`, such as
            "f*", for all columns with matching names, in the order of the rows.
        dtype: dtype of the tensor: a floating-point one, or one that holds every value of all
            columns.
        fill: The value that replaces nulls, as in `Column`; None if a null is an error.

    Raises:
        ConfigurationError: There are no columns, a column occurs twice, or the dtype or the fill
            value is not numeric.
    """

    columns: Sequence[str] | str
    dtype: Any = "float32"
    fill: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _checked(self.columns))
        object.__setattr__(self, "dtype", _numeric(self.dtype))
        if not isinstance(self.fill, Real | np.bool_ | None):
            raise ConfigurationError(f"fill of a tsm.Matrix must be a number, not {self.fill!r}")

    def __str__(self) -> str:
        if isinstance(self.columns, str):
            return f"tsm.Matrix({self.columns!r})"
        more = ", ..." if len(self.columns) > 3 else ""
        return f"tsm.Matrix([{', '.join(map(repr, self.columns[:3]))}{more}])"


# What can be named where arrays are asked for, and several of them under names of their own.
Wanted = str | Matrix
Selection = Sequence[str] | Mapping[str, Wanted]


def selected(columns: Selection | None) -> dict[str, Wanted] | None:
    """Return the selected columns and matrices by the names of their arrays.

    Args:
        columns: Names of columns, a dict from names of arrays to columns and matrices, or None.

    Raises:
        ConfigurationError: A matrix has no name.
    """
    if columns is None:
        return None
    if isinstance(columns, Mapping):
        return dict(columns)
    for column in [columns] if isinstance(columns, Matrix) else columns:
        if isinstance(column, Matrix):
            raise ConfigurationError(
                f"{column} needs a name in a batch: pass a dict of all columns, such as "
                f"columns={{'x': {column}}}"
            )
    return {column: column for column in columns}


def _checked(columns: Any) -> tuple[str, ...] | str:
    if isinstance(columns, str):
        if not columns:
            raise ConfigurationError("a tsm.Matrix needs column names, or a pattern")
        return columns
    names = tuple(columns) if isinstance(columns, Iterable) else (columns,)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ConfigurationError(f"a tsm.Matrix takes column names, not {wrong[0]!r}")
    if not names:
        raise ConfigurationError("a tsm.Matrix needs at least one column")
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ConfigurationError(f"a tsm.Matrix has column {twice!r} twice; name it once")
    return names


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape is None:
        return None
    wanted = "shape of a tsm.Column"
    if not isinstance(shape, tuple | list):
        refuse(wanted, "the sizes of one row, such as (28, 28, 1)", shape)
    return tuple(optional(integer(0))(f"a size in the {wanted}", size) for size in shape)


def _known_dtype(kind: str, wanted: Any) -> np.dtype:
    try:
        dtype: np.dtype = np.dtype(wanted)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"dtype of a {kind} must be a NumPy dtype, not {shown(wanted)}"
        ) from error
    return dtype


def _numeric(wanted: Any) -> np.dtype:
    dtype = _known_dtype("tsm.Matrix", wanted)
    if dtype.kind not in "biuf" or wanted is None:
        raise ConfigurationError(
            f"dtype of a tsm.Matrix must be numeric, such as 'float32', not {wanted!r}"
        )
    return dtype
