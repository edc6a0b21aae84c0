"""Columns to records.

A record is put together from what its columns give: the bytes of the values, and what stands before
them, which depends only on how many bytes follow. Columns are in the order of their names, so the
same rows always have the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.codec.varints import encoded_varints
from tensorsparkml.tfrecord.codec.wire import bounds

_FIRST, _SECOND = b"\x0a", b"\x12"  # tags of the fields 1 and 2, if they have a length


def encode_records(
    columns: Sequence[FeatureColumn], arrays: Sequence[pa.Array], *, sequences: bool = False
) -> pa.BinaryArray:
    """Return the rows of columns as records.

    Args:
        columns: What the columns are.
        arrays: Their values, of the columns' types. A null is a feature that the record lacks.
        sequences: Whether the records are of the kind `SequenceExample`, and not `Example`.
    """
    order = sorted(range(len(columns)), key=lambda place: columns[place].name.encode())
    context: list[pa.BinaryArray] = []
    lists: list[pa.BinaryArray] = []
    for place in order:
        column, array = columns[place], arrays[place]
        (lists if column.steps else context).extend(_entry(column, array))
    count = len(arrays[0])
    parts = _field(_FIRST, _joined(context, count))
    if sequences:
        parts += _field(_SECOND, _joined(lists, count))
    return _joined(parts, count)


def _entry(column: FeatureColumn, array: pa.Array) -> list[pa.BinaryArray]:
    """Return the parts of a column's entry in the map of features."""
    key = column.name.encode()
    start = _FIRST + _varint(len(key)) + key
    if column.steps:
        content = _grouped(_step_values(column, array), array)

        def before(size: int) -> bytes:
            return _around(_FIRST, start + _SECOND + _varint(size), size)

    else:
        content, inner = _content(column.kind, array, column.depth > 0)

        def before(size: int) -> bytes:
            feature = _feature_before(column.kind, inner, size)
            value = _around(_SECOND, feature, size)
            return _around(_FIRST, start + value, size)

    parts = [_before(content, before), content]
    if array.null_count:
        parts = [pc.if_else(array.is_null(), pa.scalar(b""), part) for part in parts]
    return parts


def _step_values(column: FeatureColumn, array: pa.ListArray) -> pa.BinaryArray:
    """Return the steps of all rows, as the fields of a feature list."""
    content, inner = _content(column.kind, array.flatten(), column.depth > 1)

    def before(size: int) -> bytes:
        return _around(_FIRST, _feature_before(column.kind, inner, size), size)

    return _joined([_before(content, before), content], len(content))


def _feature_before(kind: Kind, inner: bool, size: int) -> bytes:
    """Return what stands in a `Feature` before its values of so many bytes."""
    if size == 0 and kind is not Kind.BYTES:
        inner = False  # no values, and not one that is empty
    values = _FIRST + _varint(size) if inner else b""
    return _around(bytes([kind << 3 | 2]), values, size)


def _around(tag: bytes, before: bytes, size: int) -> bytes:
    """Return a field's tag and length, and the first of its bytes; `size` bytes follow."""
    return tag + _varint(len(before) + size) + before


def _content(kind: Kind, array: pa.Array, many: bool) -> tuple[pa.BinaryArray, bool]:
    """Return the bytes of values, and whether they are the content of one field more."""
    values = array.flatten() if many else array
    if kind is Kind.BYTES:
        if not many:
            return _without_nulls(values, b""), True
        parts = [
            _before(values, lambda size: _FIRST + _varint(size)),
            values,
        ]
        return _grouped(_joined(parts, len(values)), array), False
    if kind is Kind.FLOAT:
        numbers = np.ascontiguousarray(_without_nulls(values, 0.0), "<f4")
        firsts = _firsts(array) if many else np.arange(len(array) + 1)
        return _bytes_array((4 * firsts).astype(np.int32), pa.py_buffer(numbers)), True
    found = encoded_varints(np.ascontiguousarray(_without_nulls(values, 0), np.int64))
    return (_grouped(found, array) if many else found), True


def _grouped(values: pa.BinaryArray, array: pa.ListArray) -> pa.BinaryArray:
    """Join the values of each list; what stands for the values is given."""
    offsets, data = bounds(values)
    return _bytes_array(offsets[_firsts(array)].astype(np.int32), pa.py_buffer(data))


def _firsts(array: pa.ListArray) -> npt.NDArray[np.int64]:
    """Return where each list begins among the values of all, with the end of the last."""
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(sizes)])


def _bytes_array(offsets: npt.NDArray[np.int32], data: pa.Buffer) -> pa.BinaryArray:
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), data]
    )


def _without_nulls(values: pa.Array, instead: bytes | float) -> pa.Array:
    return pc.fill_null(values, instead) if values.null_count else values


def _field(tag: bytes, content: pa.BinaryArray) -> list[pa.BinaryArray]:
    return [_before(content, lambda size: _around(tag, b"", size)), content]


def _before(content: pa.BinaryArray, make: Callable[[int], bytes]) -> pa.BinaryArray:
    """Return what stands before each of the contents, which their sizes say."""
    sizes = pc.binary_length(content).dictionary_encode()
    made = pa.array([make(size) for size in sizes.dictionary.to_pylist()], pa.binary())
    return made.take(sizes.indices)


def _joined(parts: list[pa.BinaryArray], count: int) -> pa.BinaryArray:
    if not parts:
        return pa.array([b""] * count, pa.binary())
    return pc.binary_join_element_wise(*parts, pa.scalar(b""))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
