"""Segments: the files in which a spool keeps rows, and reading rows from them without copying.

A segment is an Arrow IPC file, written once and then memory-mapped by whoever reads it. Every
record batch carries where Spark had its first row, so that an error can name a row as the user
knows it.
"""

from __future__ import annotations

import bisect
import errno
import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tensorsparkml.control.protocol.names import check_feed, check_segment
from tensorsparkml.errors import FeedError


@dataclass(frozen=True)
class Origin:
    """Where a record batch comes from.

    Attributes:
        partition: Index of the Spark partition.
        row: Place in that partition of the batch's first row.
    """

    partition: int
    row: int

    def describe(self, offset: int) -> str:
        """Name the row at an offset of the batch."""
        return f"row {self.row + offset} of partition {self.partition}"

    def moved(self, offset: int) -> Origin:
        """Return the origin of the row at an offset of the batch."""
        return Origin(self.partition, self.row + offset)

    def encode(self) -> bytes:
        """Return the origin as bytes, for a message's metadata."""
        return json.dumps([self.partition, self.row]).encode()

    @classmethod
    def decode(cls, data: Any) -> Origin:
        """Return the origin that `encode` wrote."""
        partition, row = json.loads(bytes(data))
        return cls(partition, row)


@dataclass(frozen=True)
class LocatedBatch:
    """A record batch and where its first row comes from."""

    batch: pa.RecordBatch
    origin: Origin


_ORIGIN = b"origin"
_PIECE_BYTES = 2**13
# Each costs a file descriptor and a mapping, of which a process may have a few thousand.
_MOST_OPEN = 64


def segment_path(spool: Path, feed: str, segment: str) -> Path:
    """Return the file of a segment in a spool's folder.

    Raises:
        ValueError: The name of the feed, or of the segment, cannot be one.
    """
    return feed_folder(spool, feed) / f"{check_segment(segment)}.arrow"


def feed_folder(spool: Path, feed: str) -> Path:
    """Return the folder of a feed's segments; raises as `segment_path` does."""
    return spool / check_feed(feed)


class _InPieces:
    """A file that is written in small pieces, as `pyarrow.PythonFile` takes it.

    For a large write Linux takes large blocks of free memory. A virtual machine may have given
    these back, and then each of their pages costs a visit to its host: 1.3 s for a gigabyte,
    instead of 0.4 s (Linux 6.18, ext4). Pieces of 8 KiB find more that is at hand than those of
    64 KiB, and cost no more.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._file.closed

    def write(self, data: Any) -> None:
        """Write all of a buffer."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view[:_PIECE_BYTES]) :]

    def flush(self) -> None:
        """Do nothing: no bytes wait here."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class SegmentWriter:
    """Writes one segment.

    Args:
        path: The file; it appears under this name once it is complete.
        schema: Schema of all batches.

    Raises:
        FeedError: The disk is full; all methods but `abandon` raise it.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._partial = path.with_suffix(".partial")
        with _room_for(path, 0):
            path.parent.mkdir(exist_ok=True)
            self._file = pa.PythonFile(_InPieces(self._partial), "w")
            self._writer = pa.ipc.new_file(self._file, schema)

    def write(self, located: LocatedBatch) -> None:
        """Append a batch."""
        metadata = {_ORIGIN: located.origin.encode()}
        with _room_for(self._path, located.batch.nbytes):
            self._writer.write_batch(located.batch, custom_metadata=metadata)

    def finish(self) -> None:
        """Complete the file."""
        with _room_for(self._path, 0):
            self._writer.close()
            self._file.close()
            self._partial.rename(self._path)

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


@contextmanager
def _room_for(path: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        spool = path.parent.parent
        raise FeedError(
            f"the disk of {os.uname().nodename} is full: {path} needs {size:,} more bytes, but "
            f"only {shutil.disk_usage(spool).free:,} are free. Make room, choose a folder on a "
            "larger disk with work_dir=…, or let the nodes keep less of a feed with spool_bytes=…"
        ) from error


class _Segment:
    """An open segment: its batches by row offset."""

    def __init__(self, path: str) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(path))
        self._starts = [0]
        for index in range(self._reader.num_record_batches):
            self._starts.append(self._starts[-1] + self._reader.get_batch(index).num_rows)

    def read(self, start: int, count: int) -> Iterator[LocatedBatch]:
        index = bisect.bisect_right(self._starts, start) - 1
        while count:
            found: Any = self._reader.get_batch_with_custom_metadata(index)
            offset = start - self._starts[index]
            rows = min(count, found.batch.num_rows - offset)
            if rows:
                origin = Origin.decode(found.custom_metadata[_ORIGIN]).moved(offset)
                yield LocatedBatch(found.batch.slice(offset, rows), origin)
            start, count, index = start + rows, count - rows, index + 1


class RowReader:
    """Reads a sequence of segments as one run of rows, by position.

    The files of the segments that were read last stay open. Nothing remains of segments that were
    dropped, so a reader does not grow with an endless stream.
    """

    def __init__(self) -> None:
        self._paths: list[str] = []  # of the segments that are not dropped
        self._starts = [0]
        self._open: OrderedDict[str, _Segment] = OrderedDict()
        self._dropped = 0  # segments, from the first on

    @property
    def segments(self) -> int:
        """How many segments were added."""
        return self._dropped + len(self._paths)

    @property
    def dropped_segments(self) -> int:
        """How many segments were dropped."""
        return self._dropped

    @property
    def dropped_rows(self) -> int:
        """How many rows were dropped."""
        return self._starts[0]

    @property
    def rows(self) -> int:
        """How many rows the segments hold."""
        return self._starts[-1]

    def append(self, path: str, rows: int) -> None:
        """Add a segment whose rows follow those that are there."""
        self._paths.append(path)
        self._starts.append(self._starts[-1] + rows)

    def first_batch(self) -> LocatedBatch:
        """Return the rows from the first on, of those not dropped, that lie in one record batch."""
        index = bisect.bisect_right(self._starts, self._starts[0]) - 1
        rows = self._starts[index + 1] - self._starts[index]
        return next(self._segment(index).read(0, rows))

    def read(self, start: int, count: int) -> list[LocatedBatch]:
        """Return `count` rows from position `start` on, as slices of the files' batches.

        Raises:
            ValueError: Some of them were dropped.
        """
        if start < self._starts[0]:
            raise ValueError(f"row {start} was dropped; the first row is {self._starts[0]}")
        found: list[LocatedBatch] = []
        index = bisect.bisect_right(self._starts, start) - 1
        while count:
            offset = start - self._starts[index]
            rows = min(count, self._starts[index + 1] - start)
            if rows:
                found.extend(self._segment(index).read(offset, rows))
            start, count, index = start + rows, count - rows, index + 1
        return found

    def close(self) -> None:
        """Close the files, which stay where they are."""
        self._open.clear()

    def drop(self, end: int) -> int:
        """Delete the files of all segments that lie before a position; return the rows in them."""
        last = max(bisect.bisect_right(self._starts, end) - 1, 0)
        for path in self._paths[:last]:
            self._open.pop(path, None)
            Path(path).unlink(missing_ok=True)
        rows = self._starts[last] - self._starts[0]
        del self._paths[:last], self._starts[:last]
        self._dropped += last
        return rows

    def _segment(self, index: int) -> _Segment:
        path = self._paths[index]
        if path not in self._open:
            self._open[path] = _Segment(path)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)  # rows that are in use keep its memory
        self._open.move_to_end(path)
        return self._open[path]
