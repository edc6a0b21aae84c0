"""One record, read field by field: the reference for everything that `layout` reads at once.

It takes what a protocol buffers library takes: fields in any order, unknown ones, messages in
several parts, values packed or not. Its time is linear in the bytes of the record, and it does not
recurse.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from tensorsparkml.tfrecord.codec.features import Kind

_VARINT, _FIXED_64, _LENGTH, _START_GROUP, _END_GROUP, _FIXED_32 = range(6)
_MASK = 2**64 - 1
_LONGEST_VARINT = 10

FeatureValue = tuple[Kind | None, list[Any]]


class RecordError(Exception):
    """A record is no message of the kind that was asked for; the text says why."""


def features_of(record: bytes) -> dict[bytes, FeatureValue]:
    """Return the features of an `Example`.

    Raises:
        RecordError: It is none.
    """
    return _features([value for number, value in _messages(record) if number == 1])


def sequence_of(
    record: bytes,
) -> tuple[dict[bytes, FeatureValue], dict[bytes, list[FeatureValue]]]:
    """Return the context and the feature lists of a `SequenceExample`.

    Raises:
        RecordError: It is none.
    """
    fields = list(_messages(record))
    context = _features([value for number, value in fields if number == 1])
    lists = {}
    for part in (value for number, value in fields if number == 2):
        for key, values in _entries(part):
            steps = [step for value in values for number, step in _messages(value) if number == 1]
            lists[key] = [_feature([step]) for step in steps]
    return context, lists


def _features(parts: list[bytes]) -> dict[bytes, FeatureValue]:
    return {key: _feature(values) for part in parts for key, values in _entries(part)}


def _entries(part: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield the keys of a map, and the parts of their values."""
    for number, entry in _messages(part):
        if number != 1:
            continue
        key, values = b"", []
        for inner, content in _messages(entry):
            if inner == 1:
                key = content
            elif inner == 2:
                values.append(content)
        yield key, values


def _feature(parts: list[bytes]) -> FeatureValue:
    kind: Kind | None = None
    values: list[Any] = []
    for part in parts:
        for number, content in _messages(part):
            if number not in (1, 2, 3):
                continue
            if kind is not Kind(number):  # one of a union: the last one counts
                kind, values = Kind(number), []
            values += _values(kind, content)
    return kind, values


def _values(kind: Kind, content: bytes) -> list[Any]:
    found: list[Any] = []
    for number, wire, value in _fields(content):
        if number != 1:
            continue
        if kind is Kind.BYTES and wire == _LENGTH:
            found.append(value)
        elif kind is Kind.FLOAT and wire == _LENGTH:
            if len(value) % 4:
                raise RecordError(f"packed floats have {len(value)} bytes, no multiple of 4")
            found += np.frombuffer(value, "<f4").tolist()
        elif kind is Kind.FLOAT and wire == _FIXED_32:
            found.append(struct.unpack("<f", value)[0])
        elif kind is Kind.INT64 and wire == _LENGTH:
            place = 0
            while place < len(value):
                integer, place = _varint(value, place)
                found.append(_signed(integer))
        elif kind is Kind.INT64 and wire == _VARINT:
            found.append(_signed(value))
    return found


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and the contents of the fields that have a length."""
    for number, wire, value in _fields(data):
        if wire == _LENGTH:
            yield number, value


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Yield the numbers, the wire types and the values of all fields, but groups."""
    place, end = 0, len(data)
    groups: list[int] = []
    while place < end:
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise RecordError(f"there is no field {number}")
        value: Any = None
        if wire == _VARINT:
            value, place = _varint(data, place)
        elif wire in (_LENGTH, _FIXED_32, _FIXED_64):
            size = {_FIXED_32: 4, _FIXED_64: 8}.get(wire)
            if size is None:
                size, place = _varint(data, place)
            if size > end - place:
                raise RecordError(
                    f"field {number} has {size} bytes, but {end - place} are left of its message"
                )
            value, place = data[place : place + size], place + size
        elif wire == _START_GROUP:
            groups.append(number)
        elif wire == _END_GROUP:
            if not groups or groups.pop() != number:
                raise RecordError(f"the group {number} ends where it has not begun")
        else:
            raise RecordError(f"field {number} has the unknown wire type {wire}")
        if value is not None and not groups:
            yield number, wire, value
    if groups:
        raise RecordError(f"the group {groups[-1]} has no end")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    found = 0
    for count in range(_LONGEST_VARINT):
        if place >= len(data):
            raise RecordError("it ends within a number")
        byte = data[place]
        place += 1
        found |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return found & _MASK, place
    raise RecordError("a number has more than 10 bytes")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
