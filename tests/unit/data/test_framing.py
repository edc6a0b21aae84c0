"""Records of TFRecord files, read from any place, whole and damaged."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.files import framing
from tensorsparkml.data.files.framing import (
    LONGEST,
    Damage,
    NestedRecordsError,
    RecordReader,
    Records,
    is_header,
)
from tfrecord_bytes import framed, header


def reader_of(data: bytes, offset: int = 0) -> RecordReader:
    return RecordReader(io.BytesIO(data[offset:]), offset)


def records_of(reader: RecordReader, stop: int | None = None) -> Iterator[bytes | Damage]:
    for found in reader.read(stop):
        if isinstance(found, Damage):
            yield found
            continue
        for place, (start, end) in enumerate(zip(found.start, found.end, strict=True)):
            assert place not in found.wrong
            yield found.data[start:end]


def test_records_are_framed_as_tensorflow_does_it() -> None:
    # What tf.io.TFRecordWriter writes for b"abc".
    assert framed(b"abc").hex() == "0300000000000000b099490e6162636e57f121"
    assert is_header(header(3)) and not is_header(header(3)[:11] + b"x")


@given(
    records=st.lists(st.binary(max_size=70), max_size=12),
    places=st.lists(st.integers(0, 700), max_size=4),
    chunk=st.sampled_from([1, 16, 50, 2**20]),
    most=st.sampled_from([1, 3, 1000]),
)
def test_each_record_is_in_one_part_of_a_file(
    records: list[bytes], places: list[int], chunk: int, most: int
) -> None:
    data = framed(*records)
    cuts = sorted({0, len(data), *(place for place in places if place < len(data))})
    found: list[bytes | Damage] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "_CHUNK", chunk)
        patch.setattr(framing, "_MOST", most)
        for begin, stop in pairwise(cuts):
            reader = reader_of(data, begin)
            if reader.find():
                found += records_of(reader, stop)
    assert found == records


@given(
    records=st.lists(st.binary(max_size=40), min_size=1, max_size=8),
    places=st.lists(st.integers(0, 400), max_size=3),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=3),
)
def test_no_damage_is_overlooked_between_the_parts_of_a_file(
    records: list[bytes], places: list[int], damage: list[tuple[int, int]]
) -> None:
    data = bytearray(framed(*records))
    for place, bits in damage:
        data[place % len(data)] ^= bits

    def read(*cuts: int) -> list[Any]:
        found: list[Any] = []
        for begin, stop in pairwise(cuts):
            reader = reader_of(bytes(data), begin)
            more = begin == 0 or reader.find()
            while more:
                more = False
                for each in reader.read(stop):
                    if isinstance(each, Damage):
                        found.append(each)
                        more = reader.find()
                        continue
                    for row in range(len(each.start)):
                        content = each.data[each.start[row] : each.end[row]]
                        found.append((each.offset_of(row), content, row in each.wrong))
        return found

    cuts = sorted({0, len(data), *(place for place in places if place < len(data))})
    assert read(*cuts) == read(0, len(data))


def test_a_record_that_holds_records_is_not_divided() -> None:
    inner = framed(b"first", b"second")
    data = framed(b"before", b"x" * 20 + inner + b"y" * 20, b"after")
    assert list(records_of(reader_of(data), len(data)))[1] == b"x" * 20 + inner + b"y" * 20
    with pytest.raises(NestedRecordsError, match="the record at byte 22 holds records itself"):
        list(records_of(reader_of(data), 40))
    # Behind the last of them, nobody is misled.
    assert len(list(records_of(reader_of(data), 22 + 12 + 20 + len(inner)))) == 2


def test_data_with_a_wrong_checksum_is_one_record() -> None:
    data = bytearray(framed(b"first", b"second", b"third"))
    data[21 + 14] ^= 1
    [found] = reader_of(bytes(data)).read()
    assert isinstance(found, Records)
    assert found.wrong == {1}
    assert [found.offset_of(place) for place in range(3)] == [0, 21, 43]
    [unverified] = RecordReader(io.BytesIO(bytes(data)), verify=False).read()
    assert isinstance(unverified, Records) and not unverified.wrong


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        (framed(b"abc", b"def")[:-1], 19, "it ends within a record of 3 bytes"),
        (framed(b"abc", b"def")[:25], 19, "it ends within the length of a record, after 6 bytes"),
        (framed(b"abc") + b"x" * 40, 19, "the length of a record has a wrong checksum"),
        (framed(b"abc") + header(2**60), 19, "a record has 1,152,921,504,606,846,976 bytes; the"),
        (header(LONGEST), 0, "it ends within a record of 2,147,418,112 bytes"),
        (b"text", 0, "it ends within the length"),
    ],
)
def test_damage_is_told_with_its_place(data: bytes, offset: int, reason: str) -> None:
    *whole, damage = records_of(reader_of(data))
    assert isinstance(damage, Damage)
    assert (damage.offset, damage.reason.startswith(reason)) == (offset, True), damage
    assert whole == [b"abc"][: offset > 0]


def test_records_after_damage_are_found() -> None:
    good = framed(b"abc", b"def" * 100)
    reader = reader_of(good + b"\xff" * 30 + good + header(2**60) + good)
    found = []
    more = True
    while more:
        found += records_of(reader)
        more = reader.find()
    assert [type(each) for each in found] == [
        bytes,
        bytes,
        Damage,
        bytes,
        bytes,
        Damage,
        bytes,
        bytes,
    ]
    assert [each.offset for each in found if isinstance(each, Damage)] == [
        len(good),
        2 * len(good) + 30,
    ]


@pytest.mark.parametrize(
    "damage",
    [
        header(2**20),  # a length that is a lie
        framed(b"x" * 5000)[:400],  # whoever wrote it has died
        framed(b"x" * 500)[:-1] + b"?",  # larger than what is read at once
    ],
)
def test_no_record_behind_damage_is_passed_over(
    damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "_CHUNK", 64)
    many = [b"%d" % number for number in range(100)]
    data = framed(b"before") + damage + framed(*many)
    for begin in (0, 23):  # at the first record, and behind it
        reader, found = reader_of(data, begin), []
        while reader.find():
            for each in reader.read():
                if isinstance(each, Damage):
                    assert reader.find()  # at once, as callers do
                    break
                found += [
                    each.data[start:end]
                    for row, (start, end) in enumerate(zip(each.start, each.end, strict=True))
                    if row not in each.wrong
                ]
        assert found[-100:] == many
        assert found[:-100] == [b"before"][: begin == 0]


@given(st.binary(max_size=200), st.lists(st.binary(max_size=30), max_size=3))
def test_any_bytes_end_in_records_or_damage(noise: bytes, records: list[bytes]) -> None:
    reader, found = reader_of(noise + framed(*records)), 0
    for _ in range(len(noise) + 2):
        found += sum(isinstance(each, bytes) for each in records_of(reader))
        if not reader.find():
            break
    else:
        pytest.fail("it does not end")
    assert found >= len(records)


def test_records_behind_lost_bytes_are_found() -> None:
    """The length of the record is right, but not all of it is there: it ends within another."""
    first, second = framed(b"x" * 100), framed(b"second", b"third")
    data = first[:90] + second
    reader = reader_of(data)
    [damage] = reader.read()
    assert isinstance(damage, Damage)
    assert (damage.offset, damage.reason) == (0, framing.WRONG_END)
    assert reader.find() and list(records_of(reader)) == [b"second", b"third"]


def test_places_in_more_than_32_bits_are_left_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "LONGEST", 100)
    records = [b"x" * 80, b"", b"y" * 70, b"z" * 100, *[b"-" * 7] * 30]
    found = list(reader_of(framed(*records)).read())
    assert all(isinstance(each, Records) and each.end[-1] <= 100 + 12 for each in found)
    assert list(records_of(reader_of(framed(*records)))) == records


def test_a_large_record_is_found_by_reading_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "_CHUNK", 1000)
    searched = 0

    def places(data: bytes, begin: int, size: int) -> framing.Places:
        nonlocal searched
        searched += size
        return header_places(data, begin, size)

    header_places = framing._header_places
    monkeypatch.setattr(framing, "_header_places", places)
    record = b"x" * 1_000_000
    reader = reader_of(b"?" * 5000 + framed(record))
    assert reader.find() and list(records_of(reader)) == [record]
    assert searched < 30_000
