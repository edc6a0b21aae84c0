"""The feeds of a running cluster: their delivery and their reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tensorsparkml.control.coordinator.conditions import FeedDone
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.driver.feeds.delivery import (
    FeedReport,
    OpenFeed,
    deliver,
    feed_report,
    read_files,
    source_uris,
)
from tensorsparkml.driver.feeds.growing import GrowingFeed
from tensorsparkml.driver.feeds.replay import Replay
from tensorsparkml.driver.feeds.sources import row_source
from tensorsparkml.driver.feeds.stream import StreamFeed
from tensorsparkml.driver.feeds.stream_sources import stream_source
from tensorsparkml.driver.lifecycle.running_cluster import RunningCluster
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame
    from pyspark.sql.streaming.readwriter import DataStreamWriter
    from pyspark.streaming import DStream


# A URI of Parquet files, or several.
Files = str | Sequence[str]


class ClusterFeeds:
    """Delivers rows to the nodes of one cluster.

    Args:
        running: The cluster.
        direct: The feed that the launch tasks deliver, if there is one.
    """

    def __init__(self, running: RunningCluster, direct: FeedLedger | None) -> None:
        self._running = running
        self._replays: list[Replay] = []
        self._streams: list[StreamFeed] = []
        self._growing: list[GrowingFeed] = []
        self._reports: dict[str, Callable[[], FeedReport]] = {}
        if direct is not None:
            self._reports[direct.name] = lambda: feed_report(
                direct, direct.closed or _read(direct, direct.passes)
            )

    @property
    def reports(self) -> dict[str, FeedReport]:
        """The report of each feed so far, by name."""
        return {feed: report() for feed, report in self._reports.items()}

    def keep(
        self, data: DataFrame | RDD[Any] | Files, columns: Sequence[str] | None, ledger: FeedLedger
    ) -> FeedReport:
        """Deliver rows that the nodes keep, and return when they have arrived."""
        complete = self._deliver(data, columns, ledger)
        return self._record(ledger, complete is not False)

    def train(
        self,
        data: DataFrame | RDD[Any] | Files,
        columns: Sequence[str] | None,
        ledger: FeedLedger,
        epochs: int,
    ) -> FeedReport:
        """Deliver rows, and return when the nodes have read all passes or need no more rows."""
        complete = self._deliver(data, columns, ledger)
        self._running.coordinator.require(FeedDone(ledger.name, epochs))
        if complete is None:
            complete = _read(ledger, epochs)
        return self._record(ledger, complete)

    def stream(
        self,
        data: DataFrame | DataStreamWriter | DStream[Any],
        columns: Sequence[str] | None,
        ledger: FeedLedger,
    ) -> StreamFeed:
        """Begin to deliver the micro-batches of a stream."""
        self._running.require_fed()
        source = stream_source(data, columns)
        stream = StreamFeed(self._running.coordinator, self._open(ledger), source)
        self._streams.append(stream)
        self._reports[ledger.name] = lambda: stream.report
        return stream

    def grow(self, ledger: FeedLedger) -> GrowingFeed:
        """Open a feed to which rows can be added."""
        self._running.require_fed()
        growing = GrowingFeed(self._running.coordinator, self._open(ledger))
        self._growing.append(growing)
        self._reports[ledger.name] = lambda: growing.report
        return growing

    def finish(self) -> None:
        """Close growing feeds, and wait until streams have ended and the nodes have read them.

        Raises:
            FeedError: A stream failed.
            NodeError: A node failed.
        """
        for growing in self._growing:
            growing.close()
        for stream in self._streams:
            stream.wait()

    def abandon(self) -> None:
        """End streams at once, and stop sending rows again."""
        for stream in self._streams:
            stream.abandon()
        self.end_replays()

    def join(self) -> None:
        """Wait a few seconds until abandoned streams have ended."""
        for stream in self._streams:
            stream.join()

    def end_replays(self) -> None:
        """Stop sending rows again."""
        for replay in self._replays:
            replay.end()

    def _open(self, ledger: FeedLedger) -> OpenFeed:
        return OpenFeed(self._running.coordinator, self._running.plan, ledger)

    def _deliver(
        self, data: DataFrame | RDD[Any] | Files, columns: Sequence[str] | None, ledger: FeedLedger
    ) -> bool | None:
        """Return whether Spark delivered all rows, or None where the nodes read them from files."""
        running, plan = self._running, self._running.plan
        if uris := source_uris(data, plan.default_fs, plan.working_dir):
            if columns is not None:
                raise ConfigurationError(
                    "columns=… is not for files; select their columns with ctx.feed(columns=…)"
                )
            read_files(running.coordinator, uris, ledger)
            return None
        running.require_fed()
        rows = row_source(data, columns)
        if ledger.limited:
            self._replays.append(Replay(running.coordinator, plan, rows, ledger))
        return deliver(running.coordinator, plan, rows, ledger).complete

    def _record(self, ledger: FeedLedger, complete: bool) -> FeedReport:
        self._reports[ledger.name] = lambda: feed_report(ledger, complete)
        return feed_report(ledger, complete)


def _read(ledger: FeedLedger, passes: int) -> bool:
    """Whether every node has made that many passes over a feed."""
    return all(progress.passes >= passes for progress in ledger.progress)
