"""`Column` and `Matrix`: how columns become tensors, where the default is not what is wanted."""

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
        shape: Shape of one row, without the batch dimension. Its trailing sizes divide the
            innermost list or vector: a list of 784 numbers can be (28, 28, 1). None as a size
            stands for lists of any length, and the column becomes a ragged tensor: (None,) for a
            list of numbers, (None, 128) for a list of lists of 128, (None, None) for lists of
            lists.
        dtype: dtype of the elements, such as "float32": a floating one, or one that holds every
            value of the column's own. A binary holds numbers of this dtype, one after the other as
            in memory, and they are its innermost list. Not for strings.
        fill: Stands in place of nulls: of null values, of null elements of a list, and of every
            element of a row that is null or lies in a null struct. Null lists of a ragged tensor
            become empty lists. It is an element as the tensor has it: a number, a bool, or a str
            or bytes.
        mask: Adds a tensor `<column>_mask` of dtype bool and the column's own shape, True where
            there is a value and False where there was a null. Without `fill`, nulls become zero,
            False or an empty string.

    Raises:
        ConfigurationError: One of them has another type, or is no shape or dtype.
    """

    shape: tuple[int | None, ...] | None = None
    dtype: Any = None
    fill: Any = None
    mask: bool = False

    def __post_init__(self) -> None:
        """Check what does not depend on the column."""
        object.__setattr__(self, "shape", _shape(self.shape))
        if self.dtype is not None:
            _known_dtype("tsm.Column", self.dtype)
        if not isinstance(self.fill, Real | np.generic | str | bytes | None):
            refuse("fill of a tsm.Column", "a number, a bool, a str or bytes", self.fill)
        switch("mask of a tsm.Column", self.mask)


@dataclass(frozen=True)
class Matrix:
    """Many columns of numbers as one tensor: `features=tsm.Matrix(["age", "height", "weight"])`.

    It stands wherever a column can be named, for features, labels, feeds and predictions. A row of
    the tensor has the values of all columns, one after the other; booleans are 0 and 1, decimals
    the nearest float64. A column of lists or vectors, which all have one length, gives as many
    values. What `convert` says about a single column holds here too.

    Attributes:
        columns: Names of columns or of fields of structs, in their order; or a pattern such as
            "f*", as in `fnmatch`, for all columns whose names match, in the order of the rows.
        dtype: dtype of the tensor: a floating one, or one that holds every value of all columns.
        fill: Stands in place of nulls, as in `Column`; None where nulls are errors.

    Raises:
        ConfigurationError: There are no columns, one stands there twice, or the dtype or the fill
            value is no number's.
    """

    columns: Sequence[str] | str
    dtype: Any = "float32"
    fill: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _checked(self.columns))
        object.__setattr__(self, "dtype", _numeric(self.dtype))
        if not isinstance(self.fill, Real | np.bool_ | None):
            raise ConfigurationError(f"fill={self.fill!r} of a tsm.Matrix should be a number")

    def __str__(self) -> str:
        if isinstance(self.columns, str):
            return f"tsm.Matrix({self.columns!r})"
        more = ", ..." if len(self.columns) > 3 else ""
        return f"tsm.Matrix([{', '.join(map(repr, self.columns[:3]))}{more}])"


# What can be named where arrays are asked for, and several of them under names of their own.
Wanted = str | Matrix
Selection = Sequence[str] | Mapping[str, Wanted]


def selected(columns: Selection | None) -> dict[str, Wanted] | None:
    """Return what was selected under the names that the arrays get.

    Args:
        columns: Names of columns, or a mapping from other names to columns and matrices, or None.

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
                f"{column} needs a name in a batch: give columns={{'x': {column}}}, with the names "
                "of all other columns in the same way"
            )
    return {column: column for column in columns}


def _checked(columns: Any) -> tuple[str, ...] | str:
    if isinstance(columns, str):
        if not columns:
            raise ConfigurationError("a tsm.Matrix needs names of columns, or a pattern")
        return columns
    names = tuple(columns) if isinstance(columns, Iterable) else (columns,)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ConfigurationError(f"a tsm.Matrix takes names of columns, not {wrong[0]!r}")
    if not names:
        raise ConfigurationError("a tsm.Matrix needs at least one column")
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ConfigurationError(f"column {twice!r} stands twice in a tsm.Matrix; name it once")
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
            f"a {kind} was given the dtype {shown(wanted)}, which NumPy does not know"
        ) from error
    return dtype


def _numeric(wanted: Any) -> np.dtype:
    dtype = _known_dtype("tsm.Matrix", wanted)
    if dtype.kind not in "biuf" or wanted is None:
        raise ConfigurationError(
            f"a tsm.Matrix was given the dtype {wanted!r}; it holds numbers, such as 'float32'"
        )
    return dtype
