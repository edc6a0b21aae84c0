"""How TFRecord files are compressed, and their bytes without it."""

from __future__ import annotations

import zlib
from enum import StrEnum
from typing import BinaryIO

from tensorsparkml.data.files.framing import (
    HEADER,
    ByteStream,
    DamagedStreamError,
    is_header,
)

HEAD = 1024  # bytes that show how a file is compressed
_GZIP = b"\x1f\x8b\x08"
_CHUNK = 2**18
_ANY_FORMAT = zlib.MAX_WBITS | 32  # gzip or zlib


class Compression(StrEnum):
    """How files are compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZLIB = "zlib"


SUFFIXES = {
    Compression.NONE: (),
    Compression.GZIP: (".gz", ".gzip"),
    Compression.ZLIB: (".zlib", ".deflate"),
}


def is_compressed_name(path: str) -> bool:
    """Return whether a file's name says that it is compressed."""
    return path.endswith(tuple(suffix for each in SUFFIXES.values() for suffix in each))


def compression_of(path: str, head: bytes) -> Compression:
    """Return how a file is compressed.

    Args:
        path: Its name.
        head: Its first bytes, `HEAD` of them if there are so many.
    """
    if is_header(head[:HEADER]):
        return Compression.NONE
    if head.startswith(_GZIP):
        return Compression.GZIP
    if path.endswith(SUFFIXES[Compression.ZLIB]) or _is_zlib(head):
        return Compression.ZLIB
    return Compression.NONE


def _is_zlib(head: bytes) -> bool:
    """Return whether records are found in bytes, if they are taken for zlib's."""
    decompressor = zlib.decompressobj()
    try:
        found = decompressor.decompress(head, HEADER)
    except zlib.error:
        return False
    return is_header(found) or (decompressor.eof and not found)


def uncompressed(raw: BinaryIO, compression: Compression) -> ByteStream:
    """Return the bytes of a file without its compression.

    Reading raises `DamagedStreamError` behind the last byte that can be uncompressed.
    """
    return raw if compression is Compression.NONE else _Uncompressed(raw)


class _Uncompressed:
    """The bytes of compressed data, which may come in several members one after the other."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._decompressor = zlib.decompressobj(_ANY_FORMAT)
        self._waiting = b""
        self._failure: DamagedStreamError | None = None

    def read(self, size: int, /) -> bytes:
        """Return some bytes, and none only at the end."""
        pieces: list[bytes] = []
        while size > 0 and self._failure is None:
            try:
                piece = self._piece(size)
            except (zlib.error, EOFError) as error:
                self._failure = DamagedStreamError(f"its compressed data is damaged: {error}")
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        if self._failure is not None and not pieces:
            raise self._failure
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        while True:
            found = self._decompressor.decompress(self._waiting, size)
            self._waiting = self._decompressor.unconsumed_tail
            if found:
                return found
            if not self._decompressor.eof:
                self._waiting = self._waiting or self._raw.read(_CHUNK)
                if not self._waiting:
                    raise EOFError("it ends too early")
            elif not self._next_member():
                return b""

    def _next_member(self) -> bool:
        # Zeros may fill up the last block of a file.
        self._waiting = self._decompressor.unused_data.lstrip(b"\0")
        while not self._waiting and (more := self._raw.read(_CHUNK)):
            self._waiting = more.lstrip(b"\0")
        if self._waiting:
            self._decompressor = zlib.decompressobj(_ANY_FORMAT)
        return bool(self._waiting)
