"""Records to columns and back, against the reading of one record after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.files.framing import PADDING
from tensorsparkml.tfrecord.codec.decode import (
    Left,
    decode_features,
    decode_sequences,
    features_maps,
)
from tensorsparkml.tfrecord.codec.encode import encode_records
from tensorsparkml.tfrecord.codec.exact import RecordError, features_of, sequence_of
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.codec.layout import entries
from tensorsparkml.tfrecord.codec.records import decode_records, read_record
from tensorsparkml.tfrecord.codec.survey import Seen, Survey, survey
from tensorsparkml.tfrecord.codec.varints import encoded_varints, packed_varints
from tensorsparkml.tfrecord.codec.wire import View
from tfrecord_tables import Row, mutations, tables

Columns = Sequence[FeatureColumn]
NUMBER = FeatureColumn("n", Kind.INT64)
NUMBERS = FeatureColumn("n", Kind.INT64, 1)
FLOATS = FeatureColumn("n", Kind.FLOAT, 1)
TEXTS = FeatureColumn("n", Kind.BYTES, 1)


def laid_out(records: Sequence[bytes]) -> tuple[View, Any, Any]:
    """The records as they lie in a file, and where they begin and end."""
    sizes = np.array([len(record) for record in records], np.int64)
    end = np.cumsum(sizes + 16) - 4
    data = b"".join(b"h" * 12 + record + b"sum4" for record in records)
    return View(data + bytes(PADDING)), end - sizes, end


def decoded(
    records: Sequence[bytes], columns: Columns, sequences: bool = False
) -> tuple[list[Row], dict[int, str]]:
    view, start, end = laid_out(records)
    arrays, errors = decode_records(view, start, end, columns, sequences=sequences)
    for column, array in zip(columns, arrays, strict=True):
        array.validate(full=True)
        assert (array.type, len(array)) == (column.type, len(records))
    return [list(row) for row in zip(*(a.to_pylist() for a in arrays), strict=True)], errors


def encoded(rows: Sequence[Row], columns: Columns, sequences: bool = False) -> list[bytes]:
    by_column = zip(*rows, strict=True) if rows else [[] for _ in columns]
    arrays = [
        pa.array(list(values), column.type)
        for column, values in zip(columns, by_column, strict=True)
    ]
    found = encode_records(columns, arrays, sequences=sequences)
    return [record.as_py() for record in found]


def left(records: Sequence[bytes], columns: Columns, sequences: bool = False) -> int:
    """How many of the records are read one by one."""
    view, start, end = laid_out(records)
    found = Left(len(records))
    (decode_sequences if sequences else decode_features)(view, start, end, columns, found)
    return int(found.rows.sum())


@given(tables())
def test_rows_are_the_same_afterwards(table: tuple[bool, Columns, list[Row]]) -> None:
    sequences, columns, rows = table
    records = encoded(rows, columns, sequences)
    assert decoded(records, columns, sequences) == (rows, {})
    assert left(records, columns, sequences) == 0
    for record, row in zip(records, rows, strict=True):
        assert read_record(record, columns, sequences) == row


@given(tables(), st.data())
def test_damaged_records_are_read_as_one_by_one(
    table: tuple[bool, Columns, list[Row]], data: st.DataObject
) -> None:
    sequences, columns, rows = table
    records = [data.draw(mutations(each)) for each in encoded(rows, columns, sequences)]
    found, errors = decoded(records, columns, sequences)
    nothing = [None] * len(columns)
    for place, record in enumerate(records):
        try:
            expected = read_record(record, columns, sequences)
        except RecordError as error:
            # What is not read is not looked into.
            assert errors.get(place, str(error)) == str(error)
            expected = nothing if place in errors else found[place]
        else:
            assert place not in errors
        assert repr(found[place]) == repr(expected)  # a NaN is not equal to itself


@given(tables(), st.data())
def test_records_without_some_features(
    table: tuple[bool, Columns, list[Row]], data: st.DataObject
) -> None:
    """Columns that are not asked for, in files of other writers with other orders."""
    sequences, columns, rows = table
    chosen = data.draw(st.lists(st.sampled_from(range(len(columns))), unique=True, min_size=1))
    records = encoded(rows, columns, sequences)
    wanted = [columns[place] for place in chosen]
    expected = [[row[place] for place in chosen] for row in rows]
    assert decoded(records, wanted, sequences) == (expected, {})


@given(tables(), st.data())
def test_a_survey_finds_what_one_by_one_finds(
    table: tuple[bool, Columns, list[Row]], data: st.DataObject
) -> None:
    sequences, columns, rows = table
    intact = encoded(rows, columns, sequences)
    records = [record + data.draw(mutations(record)) for record in intact]
    expected = Survey()

    def see(names: dict[str, Seen], key: bytes, row: int, values: Sequence[Any]) -> None:
        seen = names.setdefault(key.decode(errors="replace"), Seen())
        for kind, content in values:
            if content:
                text = kind is not Kind.BYTES or all(map(is_text, content))
                seen.add(kind, row, several=len(content) > 1, text=text)

    for row, record in enumerate(records):
        try:
            features, steps = sequence_of(record) if sequences else (features_of(record), {})
        except RecordError as error:
            expected.errors[row] = str(error)
            continue
        for key, value in features.items():
            see(expected.features, key, row, [value])
        for key, values in steps.items():
            see(expected.steps, key, row, values)
    assert survey(*laid_out(records), sequences=sequences) == expected


def is_text(value: bytes) -> bool:
    return "\ufffd" not in value.decode(errors="replace") or "\ufffd".encode() in value


def test_records_with_keys_of_their_own_take_linear_time() -> None:
    def only(key: bytes) -> bytes:
        entry = b"\x0a" + bytes([len(key)]) + key + b"\x12\x05\x1a\x03\x0a\x01\x05"
        features = b"\x0a" + bytes([len(entry)]) + entry
        return b"\x0a" + bytes([len(features)]) + features

    records = [only(b"%d" % number) for number in range(16_000)]
    looks = 0

    def wanted(key: bytes) -> bool:
        nonlocal looks
        looks += 1
        return key == b"n"

    view, start, end = laid_out(records)
    kept = Left(len(records))
    assert list(entries(view, *features_maps(view, start, end, kept), wanted, kept.add)) == []
    assert looks < 100 and kept.rows.sum() == len(records) - looks
    assert decoded([*records, only(b"n")], [NUMBER])[0] == [[None]] * len(records) + [[5]]


def feature(content: str) -> bytes:
    """An `Example` with the feature n, whose content is hexadecimal."""
    value = bytes.fromhex(content)
    entry = b"\x0a\x01n\x12" + bytes([len(value)]) + value
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features


@pytest.mark.parametrize(
    ("record", "column", "value"),
    [
        (b"", NUMBER, None),
        (b"\x0a\x00", NUMBER, None),
        (feature(""), NUMBER, None),  # a feature without a kind
        (feature("1a00"), NUMBER, None),
        (feature("1a00"), NUMBERS, []),
        (feature("1a020a00"), NUMBERS, []),
        (feature("1a020805"), NUMBER, 5),  # not packed
        (feature("1a0408050806"), NUMBERS, [5, 6]),
        (feature("1a060a0105" + "0a0106"), NUMBERS, [5, 6]),  # in two parts
        (feature("1a030a0105" + "1a030a0106"), NUMBERS, [5, 6]),
        (feature("12050d0000803f"), FLOATS, [1.0]),
        (feature("1a030a0105" + "12060a040000803f"), FLOATS, [1.0]),  # the last kind counts
        (feature("0a00"), TEXTS, []),
        (feature("0a020a00"), TEXTS, [b""]),
        (feature("1a050a0105" + "1007"), NUMBER, 5),  # a field that is not known
        (feature("1a030a0105") + feature("1a030a0106"), NUMBER, 6),  # the last feature counts
    ],
)
def test_what_writers_may_write(record: bytes, column: FeatureColumn, value: Any) -> None:
    plain = encoded([[7]], [NUMBER]) if column.kind is Kind.INT64 else []
    found, errors = decoded([record, *plain], [column])
    assert errors == {}
    assert found[0] == [value]


@pytest.mark.parametrize(
    ("record", "column", "message"),
    [
        (feature("1a040a020506"), NUMBER, "'n' has 2 values, but the column holds one"),
        (feature("1a030a0105"), FLOATS, "'n' has integers, but the column is one of floats"),
        (feature("12050a03000000"), FLOATS, "packed floats have 3 bytes, no multiple of 4"),
        (feature("1a030a0185"), NUMBER, "it ends within a number"),
        (feature("1a0d0a0b" + "ff" * 10 + "01"), NUMBERS, "a number has more than 10 bytes"),
        (b"\x0a\x7f", NUMBER, "field 1 has 127 bytes, but 0 are left of its message"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", NUMBER, "field 1 has 18446744073709551615 bytes, but 0"),
        (b"\x0f", NUMBER, "field 1 has the unknown wire type 7"),
        (b"\x0b", NUMBER, "the group 1 has no end"),
        (b"\x0c", NUMBER, "the group 1 ends where it has not begun"),
        (b"\x02\x00", NUMBER, "there is no field 0"),
    ],
)
def test_why_a_record_is_none(record: bytes, column: FeatureColumn, message: str) -> None:
    found, errors = decoded([record, feature("1a00")], [column])
    assert list(errors) == [0] and message in errors[0]
    assert found[0] == [None]


def test_groups_may_be_nested_deeply() -> None:
    depth = 100_000
    record = b"\x1b" * depth + b"\x1c" * depth + feature("1a030a0105")
    assert decoded([record], [NUMBER]) == ([[5]], {})


def test_a_flood_of_features_takes_linear_time() -> None:
    count = 100_000
    names = FeatureColumn("n", Kind.BYTES, 1)
    # One feature so many times, one list so long, and as many steps.
    entry = feature("1a030a0105")[2:]
    size, many = count * len(entry), bytearray(b"\x0a")
    while size > 0x7F:
        many.append(size & 0x7F | 0x80)
        size >>= 7
    many.append(size)
    assert decoded([bytes(many) + entry * count], [NUMBER]) == ([[5]], {})
    rows: list[Row] = [[[b"x"] * count], [[b"y"]]]
    assert decoded(encoded(rows, [names]), [names]) == (rows, {})
    steps = FeatureColumn("n", Kind.INT64, 2, steps=True)
    rows = [[[[7]] * count], [[]]]
    assert decoded(encoded(rows, [steps], True), [steps], True) == (rows, {})


def test_the_same_rows_have_the_same_bytes() -> None:
    columns = [FeatureColumn(name, Kind.INT64) for name in ("b", "a", "ä", "B")]
    [record] = encoded([[1, 2, 3, 4]], columns)
    assert encoded([[2, 4, 1, 3]], [columns[1], columns[3], columns[0], columns[2]]) == [record]
    assert list(features_of(record)) == [b"B", b"a", b"b", "ä".encode()]


def test_absent_and_empty_features_differ() -> None:
    columns = [NUMBERS, FeatureColumn("steps", Kind.FLOAT, 2, steps=True)]
    first, second = encoded([[None, None], [[], [[]]]], columns, True)
    assert sequence_of(first) == ({}, {})
    assert sequence_of(second) == (
        {b"n": (Kind.INT64, [])},
        {b"steps": [(Kind.FLOAT, [])]},
    )


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), max_size=5))
def test_packed_varints(rows: list[list[int]]) -> None:
    flat = np.array([value for row in rows for value in row], np.int64)
    parts = [part.as_py() for part in encoded_varints(flat)]
    firsts = np.cumsum([0, *map(len, rows)])
    joined = [b"".join(parts[a:b]) for a, b in pairwise(firsts)]
    offsets = np.cumsum([0, *map(len, joined)]).astype(np.int32)
    values, found, good = packed_varints(np.frombuffer(b"".join(joined), np.uint8), offsets)
    assert values.tolist() == flat.tolist()
    assert found.tolist() == firsts.tolist()
    assert good.all()
