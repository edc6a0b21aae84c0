"""TFRecord files as bytes."""

from __future__ import annotations

import struct

from tensorsparkml.data.files.checksums import masked_checksum


def header(length: int) -> bytes:
    """What stands before a record of so many bytes."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_checksum(packed))


def framed(*records: bytes) -> bytes:
    """The records as TFRecord frames them."""
    return b"".join(
        header(len(data)) + data + struct.pack("<I", masked_checksum(data)) for data in records
    )
