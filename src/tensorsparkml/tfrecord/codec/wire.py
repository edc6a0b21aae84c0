"""Protocol buffers of many records at once, with NumPy.

Each function takes the places of one field in many messages, and reads all of them. What it reads
beyond the end of a message is harmless, since the bytes are padded; whoever calls it compares the
ends that it returns.

The format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tensorsparkml.data.files.framing import Places

__all__ = ["FIRST", "SECOND", "Heads", "Places", "View", "Words", "bounds", "heads"]

Words = npt.NDArray[np.uint64]

FIRST, SECOND = 0x0A, 0x12  # tags of the fields 1 and 2, if they have a length

_LOW_7 = np.uint64(0x7F)
_HIGH_BIT = np.uint64(0x80)
_BYTE = np.uint64(0xFF)
_EIGHT = np.uint64(8)
_LONGEST = 5  # bytes of the varint of a length


class View:
    """The bytes of records, which are followed by `PADDING` bytes of any content.

    Args:
        data: The bytes, the padding included.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        # The eight bytes from each place on, as an integer.
        self.words: Words = np.ndarray((len(self.bytes) - 7,), "<u8", data, strides=(1,))
        self._buffer = pa.py_buffer(data)

    def slices(self, start: Places, end: Places) -> pa.BinaryArray:
        """Return the bytes of spans that neither overlap nor go backwards."""
        count = len(start)
        offsets = np.zeros(2 * count + 1, np.int32)
        offsets[0:-1:2] = start
        offsets[1::2] = end
        offsets[-1] = end[-1] if count else 0
        # Each second one is what lies between two spans.
        both = pa.BinaryArray.from_buffers(
            pa.binary(), 2 * count, [None, pa.py_buffer(offsets), self._buffer]
        )
        return both.take(pa.array(np.arange(0, 2 * count, 2, dtype=np.int32)))


class Heads(NamedTuple):
    """Fields: their tags, and where their content begins and ends."""

    tag: Words
    start: Places
    end: Places

    def where(self, chosen: npt.NDArray[np.bool_]) -> Heads:
        """Return some of the fields."""
        return Heads(self.tag[chosen], self.start[chosen], self.end[chosen])


def heads(view: View, places: Places) -> Heads:
    """Return the length-delimited fields at some places.

    The end of a field whose length is no varint of at most five bytes is beyond all records.
    """
    words = view.words[places]
    rest = words >> _EIGHT
    length = rest & _LOW_7
    size = None
    more = (rest & _HIGH_BIT) != 0
    if more.any():
        size = np.full(len(places), 2, np.int64)
        going = np.flatnonzero(more)
        for place in range(1, _LONGEST):
            byte = rest[going] >> np.uint64(8 * place)
            length[going] |= (byte & _LOW_7) << np.uint64(7 * place)
            size[going] += 1
            going = going[(byte & _HIGH_BIT) != 0]
            if not len(going):
                break
        length[going] = np.uint64(2**62)
    start = places + (2 if size is None else size)
    return Heads(words & _BYTE, start, start + length.view(np.int64))


def bounds(slices: pa.BinaryArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the offsets and the bytes of an array of bytes without nulls."""
    _, offsets, content = slices.buffers()
    found = np.frombuffer(offsets, np.int32)[slices.offset : slices.offset + len(slices) + 1]
    data = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    return found - found[0] if len(slices) else np.zeros(1, np.int32), data[found[0] : found[-1]]
