"""Length-prefixed messages over the pipe between a process and the child it started.

A pipe is how a child gets what must not stand on its command line or in its environment: the
cluster's token. It stays open as a lifeline: when it ends, the parent is gone.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_LENGTH = struct.Struct("!Q")


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write one message.

    Raises:
        BrokenPipeError: The child has closed its end.
    """
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read one message, or return None when the other process has closed the pipe."""
    header = _read_exactly(stream, _LENGTH.size)
    return None if header is None else _read_exactly(stream, _LENGTH.unpack(header)[0])


def _read_exactly(stream: BinaryIO, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = stream.read(size - len(data))
        if not part:
            return None
        data += part
    return data
