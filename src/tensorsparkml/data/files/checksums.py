"""The checksums of TFRecord files: CRC-32C, masked."""

from __future__ import annotations

import google_crc32c
import numpy as np
import numpy.typing as npt

_MASK_DELTA = 0xA282EAD8


def masked_checksum(data: bytes) -> int:
    """Return TFRecord's checksum of some bytes."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def checksums_of_integers(values: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32C of the eight bytes of integers."""
    crc = np.full(len(values), _TABLES_START, np.uint32)
    for place in range(8):
        crc ^= _TABLES[place][(values >> np.uint64(8 * place)).astype(np.uint8)]
    return crc


def masked(crc: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return checksums as TFRecord stores them."""
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
