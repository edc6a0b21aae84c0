"""Opening nested lists: from rows to one run of elements, and back to the row that holds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.hints import spark_zero, text
from tensorsparkml.data.columns.misfit import Misfit
from tensorsparkml.data.columns.types import leaf_type
from tensorsparkml.errors import DataError, NullValueError, RaggedColumnError

RowLocator = Callable[[int], str]
"""Names a row by its offset in the column, for messages: `row 17 of partition 3`."""


class Levels:
    """How far the lists of a column were opened, and where each of its values came from.

    A place is where a row has a value, or by its shape should have one: where nulls are filled, an
    array of values can have fewer values than there are places.

    Args:
        name: The column's name.
        type_: Its Arrow type.
        shape: Shape of one row.
        where: Names a row.
        rows: Number of rows.

    Attributes:
        places: How many places there are on this level.
        present: Which of them have a value; None for all.
        row_splits: Where the lists begin and end on each of the levels with lists of any length.
        rows_of_elements: How many elements of the inner shape there are.
    """

    def __init__(
        self,
        name: str,
        type_: pa.DataType,
        shape: tuple[int | None, ...],
        where: RowLocator,
        rows: int,
    ) -> None:
        self._name = name
        self._type = type_
        self._shape = shape
        self._where = where
        self._opened: list[int | np.ndarray] = []
        self.places = rows
        self.rows_of_elements = rows
        self.present: np.ndarray | None = None
        self.row_splits: list[np.ndarray] = []

    def without_nulls(self, values: pa.Array, filled: bool) -> pa.Array:
        """Return the values that are not null, and remember where there was none."""
        if values.null_count == 0:
            return values
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        if not filled:
            raise self._null_error(int(np.argmin(valid)))
        if self.present is None:
            self.present = valid
        else:
            present = self.present.copy()
            present[self.present] = valid
            self.present = present
        return values.drop_null()

    def open(self, lists: pa.Array, length: int | None) -> pa.Array:
        """Return the elements of lists, none of them null.

        Args:
            lists: The lists.
            length: Their length, or None for any; where there is no list, it is an empty one then.
        """
        return self._open_ragged(lists) if length is None else self._open_fixed(lists, length)

    def error(self, misfit: Misfit) -> DataError:
        """Return the error for a value on this level, which names its row."""
        place = "" if misfit.index is None else f" in {self._place(misfit.index)}"
        return misfit.kind(
            f"Column {self._name!r} of type {text(self._type)} {misfit.what}{place}. "
            f"{misfit.advice}"
        )

    def _open_fixed(self, lists: pa.Array, length: int) -> pa.Array:
        if not pa.types.is_fixed_size_list(lists.type):
            found = _lengths(lists)
            wrong = found != length
            if wrong.any():
                index = int(np.argmax(wrong))
                raise self._ragged_error(index, int(found[index]), length)
        self._opened.append(length)
        self.places *= length
        if self.present is not None:
            self.present = np.repeat(self.present, length)
        return _elements(lists, empty=length == 0)

    def _open_ragged(self, lists: pa.Array) -> pa.Array:
        lengths = np.zeros(self.places, np.int64)
        lengths[... if self.present is None else self.present] = _lengths(lists)
        splits = np.zeros(self.places + 1, np.int64)
        np.cumsum(lengths, out=splits[1:])
        self._opened.append(splits)
        self.row_splits.append(splits)
        self.places = self.rows_of_elements = int(splits[-1])
        self.present = None
        return _elements(lists, empty=self.places == 0)

    def _position(self, index: int) -> tuple[int, str]:
        """Return the row and the element that a value is in: (17, "[3][0]")."""
        place = index if self.present is None else int(np.flatnonzero(self.present)[index])
        element: list[str] = []
        for level in reversed(self._opened):
            if isinstance(level, int):
                place, inside = divmod(place, level)
            else:
                lists = int(np.searchsorted(level, place, "right")) - 1
                place, inside = lists, place - int(level[lists])
            element.append(f"[{inside}]")
        return place, "".join(reversed(element))

    def _place(self, index: int) -> str:
        row, element = self._position(index)
        return f"element {element} of {self._where(row)}" if element else self._where(row)

    def _null_error(self, index: int) -> NullValueError:
        row, element = self._position(index)
        if element:
            what, advice = (
                f"has a null element {element}",
                "replace the nulls, for example with "
                f"transform(col, lambda e: coalesce(e, {spark_zero(leaf_type(self._type))})), "
                "or keep only rows without nulls",
            )
        else:
            what, advice = (
                "is null",
                f"drop such rows with df.dropna(subset=[{self._name!r}]), or replace the nulls "
                "with df.fillna(...) or coalesce(col, ...)",
            )
        return NullValueError(
            f"Column {self._name!r} of type {text(self._type)} {what} in {self._where(row)}, but "
            f"tensors cannot have nulls. In Spark, {advice}. Or give the column a fill value: "
            f"convert={{{self._name!r}: tsm.Column(fill=...)}}."
        )

    def _ragged_error(self, index: int, found: int, expected: int) -> RaggedColumnError:
        row, element = self._position(index)
        padding = f"array_repeat({spark_zero(leaf_type(self._type))}, {expected})"
        varying = (None,) * (len(self._opened) + 1)
        return RaggedColumnError(
            f"Column {self._name!r} of type {text(self._type)} has a list of length {found} in "
            f"{f'element {element} of ' if element else ''}{self._where(row)}, but the shape "
            f"{self._shape} needs length {expected}. All lists must have the same length. In "
            "Spark, pad and cut them, for example with "
            f"slice(concat(col, {padding}), 1, {expected})"
            f"{' inside transform(col, ...)' if element else ''}, or keep only the rows of that "
            "length, with size(col). Or make the column a ragged tensor: "
            f"convert={{{self._name!r}: tsm.Column(shape={varying})}}."
        )


def open_lists(
    column: pa.Array, lengths: Sequence[int | None], levels: Levels, *, nulls: bool
) -> pa.Array:
    """Open all lists of a column and return the innermost values, none of them null.

    Args:
        column: The rows.
        lengths: The length of the lists of each level, from the outside; None for any.
        levels: Remembers what was opened.
        nulls: Whether nulls are allowed.
    """
    values = levels.without_nulls(column, nulls)
    for length in lengths:
        values = levels.without_nulls(levels.open(values, length), nulls)
    return values


def _elements(lists: pa.Array, *, empty: bool) -> pa.Array:
    # Arrow may leave the buffers of an empty array out; its flatten() does not survive that.
    if empty or len(lists) == 0:
        return pa.array([], lists.type.value_type)
    return lists.flatten()


def _lengths(lists: pa.Array) -> np.ndarray:
    if len(lists) == 0:
        return np.zeros(0, np.int64)
    if pa.types.is_fixed_size_list(lists.type):
        return np.full(len(lists), lists.type.list_size)
    return np.diff(lists.offsets.to_numpy())
