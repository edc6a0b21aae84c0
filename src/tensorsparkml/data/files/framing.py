"""How TFRecord files hold records: their lengths, their checksums, and where they begin.

A record is its length in eight bytes, the masked CRC-32C of those, its data, and the masked CRC-32C
of the data: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

HEADER = 12  # bytes before a record's data
AROUND = 16  # bytes of a record besides its data
PADDING = 16  # bytes of any content after the last record of `Records`
LONGEST = 2**31 - 2**16  # bytes of a record; neither Arrow's nor Spark's arrays hold more
NO_HEADER = "the length of a record has a wrong checksum"
_CHUNK = 2 * 2**20
_MOST = 16_384  # records that are read together
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Records:
    """Records that lie one after the other.

    Attributes:
        data: The bytes, with `PADDING` bytes more.
        start: Where the data of each record begins in them.
        end: Where it ends.
        offset: Where the bytes begin in the file, uncompressed.
        wrong: The records whose data has another checksum than the file says.
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
    """

    offset: int
    reason: str


def masked_checksum(data: bytes) -> int:
    """Return TFRecord's checksum of some bytes."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def is_header(head: bytes) -> bool:
    """Return whether 12 bytes are those before the data of a record."""
    if len(head) < HEADER:
        return False
    expected: int = _CHECKSUM.unpack_from(head, 8)[0]
    return masked_checksum(head[:8]) == expected


class RecordReader:
    """Reads the records of a part of a file.

    Args:
        stream: The bytes from a place in the file on, uncompressed.
        offset: The place.
        verify: Whether the checksums of the data are compared. Those of the lengths always are.
    """

    def __init__(self, stream: BinaryIO, offset: int = 0, *, verify: bool = True) -> None:
        self._stream = stream
        self._offset = offset
        self._verify = verify
        self._buffer = bytes(PADDING)  # what was read and is not used, and the padding

    def find(self) -> bool:
        """Go to the first place where a record begins: one with two right checksums.

        Returns:
            Whether there is one.
        """
        ended = False
        while True:
            searched = self._size
            for place in _header_places(self._buffer, searched).tolist():
                after = place + _LENGTH.unpack_from(self._buffer, place)[0] + AROUND
                while not ended and self._size < after:
                    ended = not self._more()
                if after <= self._size and _is_sound(self._buffer, place, after):
                    self._skip(place)
                    return True
            longer = self._size > searched
            self._skip(max(0, searched - HEADER + 1))
            if not longer and (ended or not self._more()):
                return False

    def read(self, stop: int | None = None) -> Iterator[Records | Damage]:
        """Read records, the first of which begins here.

        Args:
            stop: The place in the file from which on no record is wanted; None for its end.

        Yields:
            The records, and at last what is wrong with the file, if something is. Then `find`
            goes to the next record.
        """
        while stop is None or self._offset < stop:
            self._more()
            if not self._size:
                return
            if (reason := self._first_record()) is not None:
                damage = Damage(self._offset, reason)
                self._skip(1)  # before the caller may call `find`
                yield damage
                return
            found = self._whole_records(stop)
            self._skip(int(found.end[-1]) + AROUND - HEADER)
            yield found

    @property
    def _size(self) -> int:
        return len(self._buffer) - PADDING

    def _first_record(self) -> str | None:
        """Read until the first record is whole, or return why there is none."""
        while self._size < HEADER and self._more():  # a stream may give less than is asked for
            pass
        if self._size < HEADER:
            return f"it ends within the length of a record, after {self._size} bytes"
        if not is_header(self._buffer[:HEADER]):
            return NO_HEADER
        length = _LENGTH.unpack_from(self._buffer)[0]
        if length > LONGEST:
            return f"a record has {length:,} bytes; the most are {LONGEST:,}"
        pieces, missing = [self._buffer[: self._size]], length + AROUND - self._size
        # Not all at once, as the length may be a lie.
        while missing > 0 and (piece := self._stream.read(min(missing, _CHUNK))):
            pieces.append(piece)
            missing -= len(piece)
        if len(pieces) > 1:
            self._buffer = b"".join([*pieces, bytes(PADDING)])
        return f"it ends within a record of {length:,} bytes" if missing > 0 else None

    def _whole_records(self, stop: int | None) -> Records:
        data, place, count = self._buffer, 0, 0
        end = self._size - AROUND
        limit = end if stop is None else min(end, stop - self._offset - 1)
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
        begin += HEADER
        wrong = _wrong_data(data, begin, finish) if self._verify else frozenset()
        return Records(data, begin, finish, self._offset, wrong)

    def _more(self) -> bool:
        piece = self._stream.read(_CHUNK)
        self._buffer = b"".join([self._buffer[: self._size], piece, bytes(PADDING)])
        return bool(piece)

    def _skip(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._offset += count


def _is_sound(buffer: bytes, place: int, after: int) -> bool:
    """Return whether the data of a record has the checksum that follows it."""
    end = after - (AROUND - HEADER)
    expected: int = _CHECKSUM.unpack_from(buffer, end)[0]
    return masked_checksum(buffer[place + HEADER : end]) == expected


def _wrong_data(data: bytes, start: Places, end: Places) -> frozenset[int]:
    checksum, bounds = google_crc32c.value, zip(start.tolist(), end.tolist(), strict=True)
    found = np.array([checksum(data[first:last]) for first, last in bounds], np.uint32)
    return frozenset(np.flatnonzero(_masked(found) != _integers(data, "<u4")[end]).tolist())


def _header_places(buffer: bytes, size: int) -> Places:
    """Return where the bytes may be those before a record."""
    lengths = _integers(buffer, "<u8")[: max(0, size - HEADER + 1)]
    places = np.flatnonzero(lengths <= LONGEST)
    return places[_are_headers(buffer, places)]


def _are_headers(data: bytes, places: Places) -> npt.NDArray[np.bool_]:
    lengths, checksums = _integers(data, "<u8")[places], _integers(data, "<u4")[places + 8]
    return np.asarray(_masked(_checksums_of_integers(lengths)) == checksums)


def _integers(data: bytes, dtype: str) -> npt.NDArray[np.unsignedinteger]:
    """Return the integers that begin at each of the bytes."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((len(data) - size + 1,), dtype, data, strides=(1,))


def _checksums_of_integers(values: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32C of the eight bytes of integers."""
    crc = np.full(len(values), _TABLES_START, np.uint32)
    for place in range(8):
        crc ^= _TABLES[place][(values >> np.uint64(8 * place)).astype(np.uint8)]
    return crc


def _masked(crc: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(_MASK_DELTA)


# A checksum is linear in the bits of the data but for a constant: that of eight bytes is the
# constant, and for each byte what the byte alone changes.
_TABLES_START = google_crc32c.value(bytes(8))
_TABLES = [
    np.array(
        [
            google_crc32c.value(bytes(place) + bytes([byte]) + bytes(7 - place)) ^ _TABLES_START
            for byte in range(256)
        ],
        np.uint32,
    )
    for place in range(8)
]
