"""A feed with rows from Spark or from files. The driver knows which."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from tensorsparkml.control.feeds.lockstep import PassCursor
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.data.columns.options import Column, Wanted
from tensorsparkml.data.files.parquet import ParquetFiles
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.data.spool.shuffle import WINDOW_ROWS
from tensorsparkml.errors import UnknownFeedError
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.datasets.feed_reader import FeedReader, Rows
from tensorsparkml.trainer.datasets.file_reader import FileReader, Shuffle
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter
from tensorsparkml.trainer.datasets.source import Source

logger = logging.getLogger(__name__)
_PATIENCE_SECONDS = 10.0  # of a wait for a feed, before it is logged


class OpenFiles(Protocol):
    """Opens files, given their URIs and a key that is the same on all nodes."""

    def __call__(self, uri: Sequence[str], *, key: str) -> ParquetFiles:
        """Return the files."""


class Feed:
    """One feed, which the program may read several times.

    Args:
        agent: The node's agent.
        name: Name of the feed.
        rank: Rank of this node.
        nodes: Number of nodes.
        open_files: Opens the files, if the feed's rows are in files.
    """

    def __init__(
        self, agent: AgentClient, name: str, rank: int, nodes: int, open_files: OpenFiles
    ) -> None:
        self.name = name
        self._agent = agent
        self._rank = rank
        self._nodes = nodes
        self._open_files = open_files
        self._lock = threading.Lock()
        self._reporter = ProgressReporter(partial(agent.progress, name))
        self._files: tuple[ParquetFiles, int, Shuffle | None] | None = None
        self.spooled = FeedReader(agent, name, nodes, rank, self._reporter)

    @property
    def rows_read(self) -> int:
        """Number of this node's rows that the program has read, over all passes."""
        return self._reporter.progress.rows

    @property
    def progress(self) -> FeedProgress:
        """How far the program has read."""
        return self._reporter.progress

    def terminate(self) -> None:
        """Need no more rows; does not wait for the driver, which may never deliver the feed."""
        self.spooled.terminate()

    def report(self) -> None:
        """Report the progress to the agent, as far as it has changed."""
        self._reporter.report()

    def source(self, columns: Sequence[Wanted] | None, convert: Mapping[str, Column]) -> Source:
        """Return a source for some columns of the feed."""
        return _FeedSource(self, columns, convert)

    def resolve(self, columns: Sequence[Wanted] | None, convert: Mapping[str, Column]) -> Source:
        """Wait until the driver says where the rows come from, and return them."""
        with self._lock:
            began, patience = time.monotonic(), _PATIENCE_SECONDS
            while self._files is None:
                window = self._agent.window(self.name, 0, 0)
                if window["instead"] is not None:
                    raise self._unknown(window["instead"])
                if window["files"]:
                    self._open(window["files"])
                elif self.progress.terminated or (
                    window["segments"] or window["held_by_all"] or window["closed"]
                ):
                    return self.spooled
                elif window["opened"] is None and time.monotonic() - began >= patience:
                    logger.warning(
                        "the program has waited for feed %r for %.0f s, but the driver has not "
                        "begun to deliver it; deliver it with cluster.train(…, feed=%r)",
                        self.name,
                        patience,
                        self.name,
                    )
                    patience *= 3
            files, passes, shuffle = self._files
        return FileReader(
            files,
            self._rank,
            self._nodes,
            columns=columns,
            convert=convert,
            shuffle=shuffle,
            passes=passes,
            reporter=self._reporter,
        )

    def _unknown(self, feeds: Sequence[str]) -> UnknownFeedError:
        known = f"the only feeds are {', '.join(map(repr, feeds))}" if feeds else "there is no feed"
        return UnknownFeedError(
            f"the driver does not deliver feed {self.name!r}: {known}. Correct the name in the "
            f"program, or deliver the feed: with tsm.run(datasets={{{self.name!r}: …}}) or "
            f"cluster.train(…, feed={self.name!r})"
        )

    def _open(self, found: dict[str, Any]) -> None:
        files = self._open_files(found["uris"], key=f"feed {self.name!r}")
        shuffle = None if found["seed"] is None else Shuffle(found["seed"], WINDOW_ROWS)
        self._files = files, found["passes"], shuffle
        self._agent.share(self.name, files.share_rows)


class _FeedSource:
    """A feed, as one dataset or one `DataFeed` reads it; waits for the driver when it must."""

    def __init__(
        self, feed: Feed, columns: Sequence[Wanted] | None, convert: Mapping[str, Column]
    ) -> None:
        self._feed = feed
        self._columns = columns
        self._convert = convert
        self._resolved: Source | None = None

    @property
    def terminated(self) -> bool:
        return self._feed.progress.terminated

    @property
    def passes_offered(self) -> int:
        return self._source.passes_offered

    def first_rows(self, least: int = 1) -> LocatedBatch:
        return self._source.first_rows(least)

    def begin_pass(self, least: int = 0) -> PassCursor:
        return self._source.begin_pass(least)

    def batches(
        self, size: int, drop_remainder: bool, at_once: int = 1, least: int = 0
    ) -> Iterator[Rows]:
        return self._source.batches(size, drop_remainder, at_once, least)

    def next_batches(
        self, cursor: PassCursor, size: int, drop_remainder: bool, at_once: int = 1
    ) -> Rows | None:
        return self._source.next_batches(cursor, size, drop_remainder, at_once)

    def at_end(self, cursor: PassCursor) -> bool:
        return self._source.at_end(cursor)

    def end_pass(self) -> None:
        self._source.end_pass()

    def terminate(self) -> None:
        self._feed.terminate()

    @property
    def _source(self) -> Source:
        if self._resolved is None:
            self._resolved = self._feed.resolve(self._columns, self._convert)
        return self._resolved
