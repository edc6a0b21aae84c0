"""Packed varints: many at once, with NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tensorsparkml.tfrecord.codec.wire import Places, View

LONGEST = 10  # bytes of a varint of 64 bits
_HIGH_BITS = np.uint64(0x8080808080808080)


def single_varints(
    view: View, start: Places, end: Places
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the varints in spans, and which of the spans have exactly one.

    Args:
        view: The bytes.
        start: Where the spans begin.
        end: Where they end.
    """
    size = end - start
    words = view.words[start]
    found = words & np.uint64(0x7F)
    longest = int(size.max(initial=0))
    if longest == 1:
        return found.view(np.int64), (size == 1) & ((words & np.uint64(0x80)) == 0)
    good = (size > 0) & (size <= LONGEST)
    for place in range(1, min(longest, LONGEST)):
        if place == 8:
            words = view.words[start + 8]
        byte = words >> np.uint64(8 * (place % 8))
        # A byte that is left out has the place of no value.
        found |= np.where(size > place, (byte & np.uint64(0x7F)) << np.uint64(7 * place), 0)
    # The high bit says of each byte but the last that another one follows.
    head = view.words[start]
    short = np.minimum(size, 8).astype(np.uint64)
    mask = _HIGH_BITS >> (np.uint64(64) - np.uint64(8) * np.maximum(short, np.uint64(1)))
    wanted = np.where(size <= 8, mask >> np.uint64(8), mask)
    good &= (head & mask) == wanted
    if longest > 8:
        # The last eight bytes of the longest ones.
        long = size > 8
        last = view.words[np.where(long, end - 8, start)]
        good &= ~long | ((last & _HIGH_BITS) == (_HIGH_BITS >> np.uint64(8)))
    return found.view(np.int64), good


def packed_varints(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Return the varints of rows that lie one after the other.

    Args:
        data: The bytes of all rows, each of which ends with the last byte of a varint.
        offsets: Where the rows begin in them, and the end of the last.

    Returns:
        The values, where the rows begin in them with the end of the last, and which rows have no
        varint of more than `LONGEST` bytes.
    """
    last = data < 0x80
    ends = np.flatnonzero(last)
    counts = np.concatenate([[0], np.cumsum(last)])
    values_at = counts[offsets]
    good = np.ones(len(offsets) - 1, np.bool_)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    size = ends - starts + 1
    found = data[starts].astype(np.uint64) & np.uint64(0x7F)
    longest = int(size.max(initial=0))
    going = np.flatnonzero(size > 1)
    for place in range(1, min(longest, LONGEST)):
        byte = data[starts[going] + place].astype(np.uint64)
        found[going] |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
        going = going[size[going] > place + 1]
    if longest > LONGEST:
        rows = np.searchsorted(offsets, starts[size > LONGEST], side="right") - 1
        good[rows] = False
    return found.view(np.int64), values_at.astype(np.int32), good


def encoded_varints(values: npt.NDArray[np.int64]) -> pa.BinaryArray:
    """Return integers as varints, each an element of an array of bytes."""
    rest = values.view(np.uint64).copy()
    sizes = varint_sizes(values)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    data = np.empty(int(offsets[-1]), np.uint8)
    places = offsets[:-1].copy()
    going = np.arange(len(values))
    while len(going):
        more = rest[going] > np.uint64(0x7F)
        byte = (rest[going] & np.uint64(0x7F)).astype(np.uint8)
        data[places[going]] = byte | np.where(more, np.uint8(0x80), np.uint8(0))
        going = going[more]
        places[going] += 1
        rest[going] >>= np.uint64(7)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    )


def varint_sizes(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many bytes the varints of integers take."""
    found = np.ones(len(values), np.int64)
    rest = values.view(np.uint64)
    for place in range(1, LONGEST):
        more = rest >= np.uint64(1) << np.uint64(7 * place)
        if not more.any():
            break
        found += more
    return found
