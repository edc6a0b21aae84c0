"""TFRecord files: how many records they have, and copies of those that are far away.

TensorFlow reads the records; it cannot say how many there are, and it has no hdfs or s3.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from tensorsparkml.data.files.compression import (
    HEAD,
    Compression,
    compression_of,
    uncompressed,
)
from tensorsparkml.data.files.framing import (
    AROUND,
    NO_HEADER,
    ByteStream,
    Damage,
    RecordReader,
    Records,
)
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.data.files.row_counts import AllGather, exchange_counts, name_of
from tensorsparkml.data.files.sharding import Part, nodes_by_size, parts_of, share_rows
from tensorsparkml.errors import DataError
from tensorsparkml.storage import translated_errors

_LENGTH = struct.Struct("<Q")
_TENSORFLOW_NAMES = {Compression.NONE: "", Compression.GZIP: "GZIP", Compression.ZLIB: "ZLIB"}


class TFRecordFiles:
    """TFRecord files, which may be compressed with gzip or zlib.

    Each node counts the records of some files, and all nodes exchange what they counted. A file
    that is not local is copied to local disk, once, when it is needed.

    Args:
        files: The files, in the same order on every node.
        rank: Rank of this node.
        nodes: Number of nodes.
        all_gather: Exchanges values with the other nodes.
        copies: Folder for copies.

    Raises:
        DataError: A file is no TFRecord file, or the nodes see different files.
    """

    def __init__(
        self,
        files: Sequence[FoundFile],
        rank: int,
        nodes: int,
        all_gather: AllGather,
        copies: Path,
    ) -> None:
        self._files = files
        self._rank = rank
        self._nodes = nodes
        self._copies = copies
        self._locks = [threading.Lock() for _ in files]
        self._copied: dict[int, Path] = {}
        # Files are counted where most of their rows will be read, so that few are copied twice.
        counts = {
            index: [self._count(index)]
            for index, node in enumerate(nodes_by_size([file.size for file in files], nodes))
            if node == rank
        }
        self.parts: list[Part] = parts_of(exchange_counts(files, counts, all_gather))

    @property
    def name(self) -> str:
        """The files as messages name them."""
        return name_of(self._files)

    @property
    def rows(self) -> int:
        """Number of records of all files."""
        return sum(part.rows for part in self.parts)

    @property
    def share_rows(self) -> int:
        """Number of records of this node's share, in every pass."""
        return share_rows(self.rows, self._nodes, self._rank)

    def path(self, index: int) -> str:
        """Return the file's own name, for messages."""
        return self._files[index].path

    def local_path(self, index: int) -> str:
        """Return a local path of a file, which is copied first where it is not local.

        Raises:
            DataError: It cannot be read.
        """
        file = self._files[index]
        if isinstance(file.filesystem, LocalFileSystem):
            return file.path
        with self._locks[index], translated_errors(f"copy {file.path}"):
            if (target := self._copied.get(index)) is None:
                target = self._copies / f"{name_digest(file)}.tfrecord"
                if not target.exists():
                    partial = target.with_suffix(".partial")
                    self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
                    file.filesystem.get_file(file.path, str(partial))
                    partial.rename(target)
                self._copied[index] = target
        return str(target)

    def compression(self, index: int) -> str:
        """Return a file's compression as TensorFlow calls it."""
        return _TENSORFLOW_NAMES[_compression_of(self.local_path(index))]

    def first_record(self) -> bytes:
        """Return the first record of all files.

        Raises:
            DataError: There is none.
        """
        for part in self.parts:
            if part.rows:
                path = self.local_path(part.file)
                with _opened(path) as stream:
                    found = next(RecordReader(stream, verify=False).read())
                    assert isinstance(found, Records)  # all of them were counted
                    return found.data[found.start[0] : found.end[0]]
        raise DataError(f"{self.name} has no records")

    def _count(self, index: int) -> int:
        try:
            return count_records(self.local_path(index))
        except _CorruptRecordError as error:
            raise DataError(f"{self._files[index].path} {error}") from None
        except OSError as error:
            raise DataError(f"cannot read {self._files[index].path}: {error}") from error


class _CorruptRecordError(Exception):
    """A record whose length cannot be right."""


def count_records(path: str) -> int:
    """Return the number of records of a local file.

    Only the lengths are read; of a compressed file, all of it.

    Raises:
        OSError: The file cannot be read.
    """
    if not os.path.getsize(path):
        return 0
    if _compression_of(path) is not Compression.NONE:
        with _opened(path) as stream:
            return _count_stream(stream)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end, place, count = len(data), 0, 0
        length_at = _LENGTH.unpack_from
        while place + AROUND <= end:
            place += length_at(data, place)[0] + AROUND
            count += 1
    if place != end:
        with _opened(path) as stream:
            _count_stream(stream)  # which finds the record
    return count


def _compression_of(path: str) -> Compression:
    with open(path, "rb") as file:
        return compression_of(path, file.read(HEAD))


def name_digest(file: FoundFile) -> str:
    """Return a name for a file's copy: another one once the file has changed.

    Two filesystems may have files of the same path, such as those of two name nodes.
    """
    import hashlib

    version = f"{hash(file.filesystem)} {file.filesystem.ukey(file.path)} {file.path}"
    return hashlib.sha256(version.encode()).hexdigest()[:32]


@contextmanager
def _opened(path: str) -> Iterator[ByteStream]:
    with open(path, "rb") as file:
        yield uncompressed(file, _compression_of(path))


def _count_stream(stream: ByteStream) -> int:
    count = 0
    for found in RecordReader(stream, verify=False).read():
        if isinstance(found, Damage):
            if found.reason == NO_HEADER and not count:
                raise _CorruptRecordError(f"is not a TFRecord file: {found.reason}")
            where = f"record {count} (the first is 0), at byte {found.offset:,}"
            raise _CorruptRecordError(f"is corrupt at {where}: {found.reason}")
        count += len(found.start)
    return count
