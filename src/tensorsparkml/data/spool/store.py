"""The spool: an agent's local store of the rows of its node, as segments on disk.

Feeders write segments, unseen: as files on this host, through the agent from others. The
coordinator publishes, releases and closes; the trainer waits here for what it may read, and then
reads the files themselves.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tensorsparkml.control.feeds.deliveries import feed_of
from tensorsparkml.control.protocol.directives import (
    BeginPass,
    Close,
    Drop,
    Give,
    Open,
    Publish,
    ReadFiles,
    Release,
    Remove,
)
from tensorsparkml.data.spool.segments import (
    LocatedBatch,
    RowReader,
    SegmentWriter,
    feed_folder,
    segment_path,
)

# What concerns the rows of one feed on one node.
SpoolDirective = Open | Publish | Release | Drop | BeginPass | Close | Remove | ReadFiles


@dataclass
class _Share:
    """This node's part of one feed."""

    segments: list[tuple[str, int]] = field(default_factory=list)  # that the trainer may read
    reader: RowReader = field(default_factory=RowReader)
    opened: Open | None = None
    drop: Drop | None = None
    begun: BeginPass | None = None  # the last pass
    held_by_all: int = 0
    closed: Close | None = None
    files: ReadFiles | None = None  # that hold the rows, which are then not here


class Spool:
    """The shares of all feeds on one node.

    Args:
        directory: Where the segments lie; made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Rows are for the executor's user alone.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._shares: dict[str, _Share] = {}
        self._last_feeds: tuple[str, ...] | None = None
        self._closed = False
        self._changed = threading.Condition()

    def receive(self, feed: str, segment: str, schema: pa.Schema) -> SegmentWriter:
        """Begin a segment; its rows count only when it is published."""
        return SegmentWriter(self._path(feed, segment), schema)

    def apply(self, directive: SpoolDirective) -> None:
        """Let the trainer know, or read, what a directive of the coordinator says."""
        with self._changed:
            share = self._share(directive.feed)
            match directive:
                case Open():
                    share.opened = directive
                case Publish():
                    path = str(self._path(directive.feed, directive.segment))
                    share.segments.append((path, directive.rows))
                    share.reader.append(path, directive.rows)
                case Release():
                    share.held_by_all = directive.rows
                case Drop():
                    share.drop = directive
                case BeginPass():
                    share.begun = directive
                case Close():
                    share.closed = directive
                case Remove():
                    share.segments, share.reader = [], RowReader()
                case ReadFiles():
                    share.files = directive
            self._changed.notify_all()

    def last_feeds(self, names: tuple[str, ...]) -> None:
        """Let the trainer know that no feed will come but these."""
        with self._changed:
            self._last_feeds = names
            self._changed.notify_all()

    def begun(self, feed: str, number: int, wait_seconds: float) -> dict[str, Any] | None:
        """Wait until a pass may begin, and return the name of its `delivery`; None if not yet."""
        with self._changed:
            share = self._share(feed)
            self._changed.wait_for(
                lambda: self._closed or (share.begun and share.begun.number >= number),
                wait_seconds,
            )
            begun = share.begun
            return {"delivery": begun.delivery} if begun and begun.number >= number else None

    def rows_to_give(self, directive: Give) -> list[LocatedBatch]:
        """Return rows that the node must give away."""
        with self._changed:
            return self._share(directive.feed).reader.read(directive.start, directive.rows)

    def window(
        self, feed: str, segments: int, held_by_all: int, wait_seconds: float
    ) -> dict[str, Any]:
        """Wait until there is more of a feed than the caller knows, and return it.

        Args:
            feed: Name of the feed.
            segments: How many segments the caller knows.
            held_by_all: The released rows that the caller knows.
            wait_seconds: How long to wait at most.

        Returns:
            `segments`: new ones as pairs of path and rows; `held_by_all`: rows; `closed`: None, or
            the fields of `Close`; `files`: None, or the fields of `ReadFiles`; `opened`: None, or
            the fields of `Open`; `keep_bytes`: None while all rows are kept, or that of `Drop`;
            `instead`: None, or the names of all feeds there will ever be, where this is none.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._news(feed, segments, held_by_all), wait_seconds
            )
            share = self._share(feed)
            closed = share.closed
            return {
                "segments": share.segments[max(segments - share.reader.dropped_segments, 0) :],
                "held_by_all": share.held_by_all,
                "closed": closed
                and {"total": closed.total, "rows": closed.rows, "passes": closed.passes},
                "files": share.files
                and {
                    "uris": list(share.files.uris),
                    "passes": share.files.passes,
                    "seed": share.files.seed,
                },
                "opened": share.opened
                and {
                    "seed": share.opened.seed,
                    "ordered": share.opened.ordered,
                    "limited": share.opened.limited,
                },
                "keep_bytes": share.drop.keep_bytes if share.drop else None,
                "instead": list(self._last_feeds or ()) if self._never_comes(feed) else None,
            }

    def forget(self, feed: str, rows: int) -> None:
        """Forget the first segments of a feed, with that many rows, which the trainer dropped."""
        with self._changed:
            share = self._share(feed)
            before = share.reader.dropped_segments
            share.reader.drop(share.reader.dropped_rows + rows)
            del share.segments[: share.reader.dropped_segments - before]

    def starves(self, feed: str, segments: int, held_by_all: int) -> bool:
        """Whether who knows that much of a limited feed must wait for more."""
        with self._changed:
            opened = self._share(feed).opened
            limited = opened is not None and opened.limited
            return limited and not self._news(feed, segments, held_by_all)

    def close(self) -> None:
        """Let nobody wait any more: the trainer has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def delete(self, feed: str) -> None:
        """Delete the files of a feed that was removed, which may take long."""
        shutil.rmtree(feed_folder(self.directory, feed), ignore_errors=True)

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _news(self, feed: str, segments: int, held_by_all: int) -> bool:
        share = self._share(feed)
        return bool(
            share.reader.segments > segments
            or share.held_by_all > held_by_all
            or share.closed
            or share.files
            or self._never_comes(feed)
        )

    def _never_comes(self, feed: str) -> bool:
        share = self._share(feed)
        is_there = share.opened or share.files or share.closed
        last = self._last_feeds
        return last is not None and feed_of(feed) not in last and not is_there

    def _share(self, feed: str) -> _Share:
        return self._shares.setdefault(feed, _Share())

    def _path(self, feed: str, segment: str) -> Path:
        return segment_path(self.directory, feed, segment)
