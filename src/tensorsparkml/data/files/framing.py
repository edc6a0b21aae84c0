"""How TFRecord files hold records: their lengths, their checksums, and where they begin.

A record is its length in eight bytes, the masked CRC-32C of those, its data, and the masked CRC-32C
of the data: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import google_crc32c
import numpy as np
import numpy.typing as npt

from tensorsparkml.data.files.checksums import checksums_of_integers, masked, masked_checksum

HEADER = 12  # bytes before a record's data
AROUND = 16  # bytes of a record besides its data
PADDING = 16  # bytes of any content after the last record of `Records`
LONGEST = 2**31 - 2**16  # bytes of a record; neither Arrow's nor Spark's arrays hold more
NO_HEADER = "the length of a record has a wrong checksum"
WRONG_END = "the checksum of its data does not match, and no other record begins where it ends"
_CHUNK = 2 * 2**20
_FIRST_WINDOW, _LAST_WINDOW = 2**12, 2**21  # bytes that are searched for a record at once
_HEAD = 1024  # bytes that are shown of what cannot be read
_MOST = 16_384  # records that are read together
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Records:
    """Records that lie one after the other.

    Attributes:
        data: The bytes, with `PADDING` bytes more.
        start: Where the data of each record begins in them.
        end: Where it ends.
        offset: Where the bytes begin in the file, uncompressed.
        wrong: The records whose data does not have the checksum that follows it.
    """

    data: bytes
    start: Places
    end: Places
    offset: int
    wrong: frozenset[int] = frozenset()

    def offset_of(self, place: int) -> int:
        """Return where a record begins in the file."""
        return self.offset + int(self.start[place]) - HEADER


@dataclass(frozen=True)
class Damage:
    """What ends the records of a file too early.

    Attributes:
        offset: Where the record begins that cannot be read.
        reason: Why it cannot.
        head: The first bytes that are there.
    """

    offset: int
    reason: str
    head: bytes = b""


class ByteStream(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, and none only at the end."""


class DamagedStreamError(Exception):
    """A stream has no more bytes, but this is not its end; the text says why."""


class NestedRecordsError(Exception):
    """A record holds records, at a place where the file would be divided.

    Attributes:
        offset: Where the record begins.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"the record at byte {offset:,} holds records itself, so several tasks cannot read "
            "the file; set the option splitFiles to false"
        )
        self.offset = offset


def is_header(head: bytes) -> bool:
    """Return whether 12 bytes are those before the data of a record."""
    if len(head) < HEADER:
        return False
    expected: int = _CHECKSUM.unpack_from(head, 8)[0]
    return masked_checksum(head[:8]) == expected


def frame_records(records: Sequence[bytes]) -> bytes:
    """Return records as a file holds them."""
    lengths = np.fromiter(map(len, records), "<u8", len(records))
    sums = np.fromiter(map(google_crc32c.value, records), "<u4", len(records))
    heads = np.empty((len(records), HEADER), np.uint8)
    heads[:, : _LENGTH.size] = lengths.view(np.uint8).reshape(-1, _LENGTH.size)
    checksums = masked(checksums_of_integers(lengths)).astype("<u4")
    heads[:, _LENGTH.size :] = checksums.view(np.uint8).reshape(-1, _CHECKSUM.size)
    before, after = heads.tobytes(), masked(sums).astype("<u4").tobytes()
    parts: list[bytes] = []
    for place, record in enumerate(records):
        parts += (
            before[HEADER * place : HEADER * (place + 1)],
            record,
            after[_CHECKSUM.size * place : _CHECKSUM.size * (place + 1)],
        )
    return b"".join(parts)


class RecordReader:
    """Reads the records of a part of a file.

    It holds two megabytes and one record at most: `LONGEST` bytes, if a length is a lie.

    Args:
        stream: The bytes from a place in the file on, uncompressed.
        offset: The place.
        verify: Whether the checksums of the data are compared. Those of the lengths always are.
    """

    def __init__(self, stream: ByteStream, offset: int = 0, *, verify: bool = True) -> None:
        self._stream = stream
        self._verify = verify
        self._data = bytes(PADDING)  # what was read, and the padding
        self._base = offset  # where that begins in the file
        self._place = 0  # where the part of it begins that is not used
        self._ended = False
        self._failure = ""  # why the stream ended too early, if it did and nobody was told

    def find(self) -> bool:
        """Go to the first place where a record begins: one with two right checksums.

        Returns:
            Whether there is one.
        """
        window = _FIRST_WINDOW
        while self._fill(HEADER):
            size = min(window, self._left)
            for place in _header_places(self._data, self._place, size).tolist():
                if self._is_sound(place):
                    self._place += place
                    return True
            self._place += size - HEADER + 1
            window = min(2 * window, _LAST_WINDOW)
        self._place += self._left
        return False

    def read(self, stop: int | None = None) -> Iterator[Records | Damage]:
        """Read records, the first of which begins here.

        Several readers may read the parts of a file, each from where `find` takes it. All that
        lies before the first sound record from the end of a part on belongs to the part: nothing
        is read twice, and no damage is overlooked.

        Args:
            stop: The place in the file where another part begins; None for the end of the file.

        Yields:
            The records, and at last what is wrong with the file, if something is. Then `find`
            goes to the next record.

        Raises:
            NestedRecordsError: Another reader would take a part of a record for records.
        """
        while True:
            self._fill(_CHUNK)
            if not self._left and not self._failure:
                return
            offset = self._base + self._place
            past = stop is not None and offset >= stop
            if (reason := self._first_record()) is not None:
                yield self._damage(reason)
                return
            if past and self._is_sound(0):
                return
            found, whole = self._whole_records(None if past else stop), True
            if past:
                found, whole = _before_sound(found)
            if not self._ends_well(found):
                if len(found.start) == 1:
                    yield self._damage(WRONG_END)
                    return
                found, whole = _first(found, len(found.start) - 1), True
            if stop is not None and not past:
                _check_last(found, stop)
            if self._verify:
                found = replace(found, wrong=_wrong_data(found))
            self._place = found.offset + int(found.end[-1]) + AROUND - HEADER - self._base
            yield found
            if not whole:
                return

    @property
    def _left(self) -> int:
        return len(self._data) - PADDING - self._place

    def _fill(self, size: int) -> bool:
        """Read until some bytes are left, and return whether there are so many."""
        missing, pieces = size - self._left, []
        while missing > 0 and (piece := self._next_piece()):
            pieces.append(piece)
            missing -= len(piece)
        if pieces or self._place + size > LONGEST:  # offsets have 32 bits
            rest = memoryview(self._data)[self._place : self._place + self._left]
            self._data = b"".join([rest, *pieces, bytes(PADDING)])
            self._base += self._place
            self._place = 0
        return missing <= 0

    def _next_piece(self) -> bytes:
        if self._ended:
            return b""
        try:
            piece = self._stream.read(_CHUNK)
        except DamagedStreamError as error:
            piece, self._failure = b"", str(error)
        self._ended = not piece
        return piece

    def _damage(self, reason: str) -> Damage:
        """Leave the first byte, from which on `find` may be called, and return the damage."""
        head = self._data[self._place : self._place + min(self._left, _HEAD)]
        damage = Damage(self._base + self._place, reason, head)
        self._place += min(self._left, 1)
        return damage

    def _first_record(self) -> str | None:
        """Read until the first record is whole, or return why there is none."""
        if not self._fill(HEADER):
            return (
                self._told() or f"it ends within the length of a record, after {self._left} bytes"
            )
        if not is_header(self._data[self._place : self._place + HEADER]):
            return NO_HEADER
        length = _LENGTH.unpack_from(self._data, self._place)[0]
        if length > LONGEST:
            return f"a record has {length:,} bytes; the most are {LONGEST:,}"
        if not self._fill(length + AROUND):
            return self._told() or f"it ends within a record of {length:,} bytes"
        return None

    def _told(self) -> str:
        """Return why the stream ended too early, once."""
        failure, self._failure = self._failure, ""
        return failure

    def _is_sound(self, place: int) -> bool:
        """Return whether a record is whole, and its data has the checksum that follows it.

        Args:
            place: Where it begins, of the bytes that are left.
        """
        length = _LENGTH.unpack_from(self._data, self._place + place)[0]
        if not self._fill(place + length + AROUND):
            return False
        return _has_checksum(self._data, self._place + place + HEADER, length)

    def _ends_well(self, records: Records) -> bool:
        """Return whether the last record is sound, or ends where another one begins.

        Otherwise bytes are missing in it, or too many, and its end is within another record.
        """
        start, end = int(records.start[-1]), int(records.end[-1])
        if _has_checksum(records.data, start, end - start):
            return True
        place = self._base + self._place
        size = records.offset + end + AROUND - HEADER - place  # of all records
        if not self._fill(size + HEADER):
            return self._left == size
        begin = self._place + size
        return is_header(self._data[begin : begin + HEADER])

    def _whole_records(self, stop: int | None) -> Records:
        data, place, count = self._data, self._place, 0
        end = min(len(data) - PADDING - AROUND, LONGEST)
        limit = end if stop is None else min(end, stop - self._base - 1)
        starts, length_at = [], _LENGTH.unpack_from
        while place <= limit and count < _MOST:
            after = place + length_at(data, place)[0]
            if after > end:
                break
            starts.append(place)
            place = after + AROUND
            count += 1
        begin = np.array(starts, np.int64)
        finish = np.append(begin[1:], place) - (AROUND - HEADER)
        good = _are_headers(data, begin)
        if not good.all():
            sound = int(np.argmin(good))  # what follows begins anywhere
            begin, finish = begin[:sound], finish[:sound]
        return Records(data, begin + HEADER, finish, self._base)


def _before_sound(records: Records) -> tuple[Records, bool]:
    """Return the records before the first sound one, and whether these are all."""
    wrong = _wrong_data(records)
    count = next((row for row in range(len(records.start)) if row not in wrong), None)
    if count is None:
        return records, True
    return _first(records, count), False


def _first(records: Records, count: int) -> Records:
    return replace(records, start=records.start[:count], end=records.end[:count])


def _check_last(records: Records, stop: int) -> None:
    """Check that the record in which another part begins holds no records.

    Raises:
        NestedRecordsError: It does.
    """
    place, end = stop - records.offset, int(records.end[-1])
    for inside in _header_places(records.data, place, end - place).tolist():
        begin = place + inside + HEADER
        length = _LENGTH.unpack_from(records.data, begin - HEADER)[0]
        if begin + length + AROUND - HEADER <= end and _has_checksum(records.data, begin, length):
            raise NestedRecordsError(records.offset_of(len(records.start) - 1))


def _has_checksum(data: bytes, start: int, length: int) -> bool:
    """Return whether some bytes have the checksum that follows them."""
    end = start + length
    expected: int = _CHECKSUM.unpack_from(data, end)[0]
    return masked_checksum(data[start:end]) == expected


def _wrong_data(records: Records) -> frozenset[int]:
    """Return the records whose data does not have the checksum that follows it."""
    data, checksum = records.data, google_crc32c.value
    bounds = zip(records.start.tolist(), records.end.tolist(), strict=True)
    found = np.array([checksum(data[first:last]) for first, last in bounds], np.uint32)
    expected = _integers(data, "<u4")[records.end]
    return frozenset(np.flatnonzero(masked(found) != expected).tolist())


def _header_places(data: bytes, begin: int, size: int) -> Places:
    """Return where some bytes may be those before a record, counted from the first of them."""
    if size < HEADER:
        return np.zeros(0, np.int64)
    lengths = _integers(data, "<u8")[begin : begin + size - HEADER + 1]
    places = np.flatnonzero(lengths <= LONGEST)
    return places[_are_headers(data, places + begin)]


def _are_headers(data: bytes, places: Places) -> npt.NDArray[np.bool_]:
    lengths, checksums = _integers(data, "<u8")[places], _integers(data, "<u4")[places + 8]
    return np.asarray(masked(checksums_of_integers(lengths)) == checksums)


def _integers(data: bytes, dtype: str) -> npt.NDArray[np.unsignedinteger]:
    """Return the integers that begin at each of the bytes."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((len(data) - size + 1,), dtype, data, strides=(1,))
