"""`Column`: how a column becomes a tensor, where the default is not what a program wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    """

    shape: tuple[int | None, ...] | None = None
    dtype: Any = None
    fill: Any = None
    mask: bool = False
