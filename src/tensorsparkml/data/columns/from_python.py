"""Python objects, as RDDs hold them → Arrow record batches.

The first row of a partition says what a row is, and the first batch says the types of its columns.

| row | columns |
|---|---|
| tuple, list | `_1`, `_2`, … as Spark names them, or the names given |
| dict, Row, named tuple | its fields, or those of them whose names are given |
| NumPy array, number, string, bytes, … | `value`, or the name given |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.types import is_list
from tensorsparkml.errors import (
    DataError,
    MissingColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)

_MOST_ROWS = 10_000  # as Spark's own batches
_MOST_BYTES = 8 * 2**20
_NUMBER_BYTES = 8
_ARRAY_KINDS = "biufM"  # of NumPy's dtypes: booleans, integers, floats, timestamps

# Names a row by its offset in a batch: "row 17 of partition 3".
Locate = Callable[[int], str]


def record_batches(
    rows: Iterable[Any],
    partition: int,
    columns: Sequence[str] | None = None,
    *,
    most_rows: int = _MOST_ROWS,
    most_bytes: int = _MOST_BYTES,
) -> Iterator[pa.RecordBatch]:
    """Convert the rows of a partition.

    Args:
        rows: Tuples, lists, dicts, Rows, named tuples, NumPy arrays or plain values.
        partition: Index of the partition, for messages.
        columns: Names of the columns; see the table above.
        most_rows: Rows of a batch.
        most_bytes: Size of a batch in bytes, roughly; a larger row is a batch of its own.

    Yields:
        Batches of one schema with at least one row each. NumPy arrays become lists of fixed size,
        nested as deep as the array has dimensions.

    Raises:
        DataError: A row is not as the first ones; the message names partition, row and column.
    """
    table: _Table | None = None
    start = 0
    for chunk in _chunks(rows, most_rows, most_bytes):
        first = start

        def locate(offset: int, first: int = first) -> str:
            return f"row {first + offset} of partition {partition}"

        if table is None:
            table = _Table(chunk[0], columns, locate)
        yield table.convert(chunk, locate)
        start += len(chunk)


def _chunks(rows: Iterable[Any], most_rows: int, most_bytes: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    size = 0
    for row in rows:
        row_size = _row_size(row)
        if chunk and (len(chunk) >= most_rows or size + row_size > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row_size
    if chunk:
        yield chunk


def _row_size(row: Any) -> int:
    if isinstance(row, dict):
        return sum(map(_size, row.values()))
    return sum(map(_size, row)) if isinstance(row, tuple | list) else _size(row)


def _size(value: Any) -> int:
    """Return about how many bytes a value needs, from its first element where it has many."""
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple | list):
        return len(value) * _size(value[0]) if value else 0
    return _NUMBER_BYTES


class _Table:
    """The columns that the first row of a partition has.

    Args:
        first: The row.
        columns: Names given by the user, or None.
        locate: Names the row.
    """

    def __init__(self, first: Any, columns: Sequence[str] | None, locate: Locate) -> None:
        self._form = _form(first)
        self._fields = _field_names(first)
        if self._fields is None:
            width = len(first) if self._form == _POSITIONAL else 1
            default = (
                [f"_{place + 1}" for place in range(width)]
                if self._form == _POSITIONAL
                else ["value"]
            )
            self._names = list(columns or default)
            if len(self._names) != width:
                raise DataError(
                    f"{locate(0)} is a {type(first).__name__} of {width} values, but "
                    f"{len(self._names)} columns are named: {', '.join(self._names)}. Name one "
                    "column for each value of a row; if you want one column of many numbers, use a "
                    "NumPy array"
                )
        else:
            self._names = list(columns or self._fields)
            self._selected = columns is not None
            for name in self._names:
                if name not in self._fields:
                    raise MissingColumnError(
                        f"{locate(0)} has no column {name!r}; it has {', '.join(self._fields)}"
                    )
        self._columns: dict[str, _Column] = {}

    def convert(self, rows: Sequence[Any], locate: Locate) -> pa.RecordBatch:
        """Return the rows as a batch."""
        arrays = []
        for name, values in zip(self._names, self._split(rows, locate), strict=True):
            if name not in self._columns:
                self._columns[name] = _column(name, values[0])
            arrays.append(self._columns[name].convert(values, locate))
        return pa.record_batch(arrays, names=self._names)

    def _split(self, rows: Sequence[Any], locate: Locate) -> list[Sequence[Any]]:
        """Return the values of the rows by column."""
        for offset, row in enumerate(rows):
            if _form(row) != self._form:
                raise DataError(
                    f"{locate(offset)} is a {type(row).__name__}, but the partition began with "
                    f"{_FORMS[self._form]}. All rows of an RDD must be of the same kind"
                )
        if self._form == _SINGLE:
            return [rows]
        if self._form == _MAPPING:
            self._check_keys(rows, locate)
            return [[row[name] for row in rows] for name in self._names]
        width = len(self._fields or self._names)
        for offset, row in enumerate(rows):
            if len(row) != width or _field_names(row) != self._fields:
                had = ", ".join(self._fields) if self._fields else f"{width} values"
                has = ", ".join(_field_names(row) or ()) or f"{len(row)} values"
                raise DataError(
                    f"{locate(offset)} has {has}, but the partition began with {had}. All rows of "
                    "an RDD must have the same columns"
                )
        by_place = list(zip(*rows, strict=True))
        places = self._fields or self._names
        return [by_place[places.index(name)] for name in self._names]

    def _check_keys(self, rows: Sequence[Any], locate: Locate) -> None:
        names = set(self._names)
        for offset, row in enumerate(rows):
            keys = row.keys()
            if not names <= keys:
                missing = next(name for name in self._names if name not in keys)
                raise MissingColumnError(
                    f"{locate(offset)} has no column {missing!r}; it has "
                    f"{', '.join(map(str, keys))}. All dicts of an RDD must have the same keys"
                )
            if not self._selected and len(keys) > len(names):
                extra = next(key for key in keys if key not in names)
                raise DataError(
                    f"{locate(offset)} has a column {extra!r}, which is not in the first row of "
                    "the partition. Name the columns that you need with columns=[…]"
                )


_SINGLE, _POSITIONAL, _FIELDS, _MAPPING = range(4)
_FORMS = ("single values", "tuples or lists", "rows with named fields", "dicts")


def _form(row: Any) -> int:
    if isinstance(row, dict):
        return _MAPPING
    if isinstance(row, tuple | list):
        return _POSITIONAL if _field_names(row) is None else _FIELDS
    return _SINGLE


def _field_names(row: Any) -> list[str] | None:
    if isinstance(row, dict):
        for key in row:
            if not isinstance(key, str):
                raise DataError(f"the keys of a dict must be column names, not {key!r}")
        return list(row)
    if type(row) is tuple or not isinstance(row, tuple):
        return None
    # Of pyspark.sql.Row, which this module does not import, and of named tuples.
    found = getattr(row, "__fields__", None) or getattr(row, "_fields", None)
    return list(found) if found else None


class _Column:
    """Values of any type that Arrow knows; the first batch says which."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._type: pa.DataType | None = None

    def convert(self, values: Sequence[Any], locate: Locate) -> pa.Array:
        """Return the values as an Arrow array."""
        try:
            array = _to_type(values, self._type)
        except _UNFIT as error:
            raise self._misfit(values, locate, error) from error
        self._type = array.type
        return array

    def _misfit(self, values: Sequence[Any], locate: Locate, error: Exception) -> DataError:
        expected = self._type
        for offset, value in enumerate(values):
            try:
                found = _to_type([value], expected).type
            except _UNFIT:
                began = f"the partition began with {expected}" if expected else str(error)
                return UnsupportedColumnError(
                    f"column {self._name!r} of {locate(offset)} holds {_describe(value)}, but "
                    f"{began}. Convert the values of a column to one type with rdd.map(...)"
                )
            if expected is None and not pa.types.is_null(found):
                expected = found
        return UnsupportedColumnError(
            f"the values of column {self._name!r} from {locate(0)} on have no common type: "
            f"{error}. Convert the values of a column to one type with rdd.map(...)"
        )


_UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)


def _to_type(values: Sequence[Any], type_: pa.DataType | None) -> pa.Array:
    """Convert to a type, or to the type of the values themselves.

    Not with `pa.array(values, type_)`, which makes a 0 of 0.5 where the type is an integer.
    """
    array = pa.array(values)
    if type_ is None or array.type == type_:
        return array
    if not _converts(array.type, type_):
        raise TypeError(f"{array.type} is not {type_}")
    return array.cast(type_)


def _converts(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of one type may be of the other, if none is lost."""
    if is_list(source) and is_list(target):
        return _converts(source.value_type, target.value_type)
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return (
        pa.types.is_null(source)
        or source == target
        or (any(is_(source) for is_ in numbers) and any(is_(target) for is_ in numbers))
    )


class _ArrayColumn(_Column):
    """NumPy arrays, all of the shape and the dtype of the first one.

    Args:
        name: Name of the column.
        first: The first array, of at least one dimension.
    """

    def __init__(self, name: str, first: np.ndarray) -> None:
        super().__init__(name)
        self._shape = first.shape
        self._dtype = first.dtype.newbyteorder("=")

    def convert(self, values: Sequence[Any], locate: Locate) -> pa.Array:
        """Return the arrays as lists of fixed size."""
        if self._dtype.kind not in _ARRAY_KINDS or 0 in self._shape:
            raise UnsupportedColumnError(
                f"column {self._name!r} of {locate(0)} holds {_describe(values[0])}, which cannot "
                "become a tensor. Use arrays of booleans, numbers or timestamps, with at least one "
                "element"
            )
        for offset, value in enumerate(values):
            if not isinstance(value, np.ndarray) or value.shape != self._shape:
                raise ShapeMismatchError(
                    f"column {self._name!r} of {locate(offset)} holds {_describe(value)}, but the "
                    f"partition began with arrays of the shape {self._shape}. All arrays of a "
                    "column must have the same shape: pad or cut them with rdd.map(...)"
                )
            if value.dtype != self._dtype and not np.can_cast(value.dtype, self._dtype, "safe"):
                raise UnsupportedColumnError(
                    f"column {self._name!r} of {locate(offset)} holds {_describe(value)}, but the "
                    f"partition began with {self._dtype}. Convert all arrays of a column to one "
                    "dtype, with array.astype(...)"
                )
        stacked = np.stack(values).astype(self._dtype, copy=False)
        array = pa.array(stacked.reshape(-1))
        for size in reversed(self._shape):
            array = pa.FixedSizeListArray.from_arrays(array, size)
        return array


class _ArrayScalarColumn(_Column):
    """NumPy arrays without dimensions."""

    def convert(self, values: Sequence[Any], locate: Locate) -> pa.Array:
        """Return their values as an Arrow array."""
        return super().convert([np.asarray(value)[()] for value in values], locate)


def _column(name: str, first: Any) -> _Column:
    if isinstance(first, np.ndarray):
        return _ArrayColumn(name, first) if first.ndim else _ArrayScalarColumn(name)
    return _Column(name)


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of the shape {value.shape} and dtype {value.dtype}"
    shown = repr(value)
    if len(shown) > 60:
        shown = shown[:60] + "…"
    return f"the {type(value).__name__} {shown}"
