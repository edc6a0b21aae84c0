"""`StreamFeed`: a feed that takes the micro-batches of a stream until the stream ends."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from tensorsparkml.checks import checked, optional, seconds
from tensorsparkml.control.coordinator.conditions import FeedDone
from tensorsparkml.driver.feeds.delivery import FeedReport, OpenFeed
from tensorsparkml.driver.feeds.sources import RowSource
from tensorsparkml.driver.feeds.stream_sources import StreamSource
from tensorsparkml.driver.lifecycle.coordinator import FOREVER, Coordinator
from tensorsparkml.driver.spark.failures import feed_failure, interruption
from tensorsparkml.driver.spark.jobs import SparkJob
from tensorsparkml.errors import TensorSparkMLError

if TYPE_CHECKING:
    from pyspark.sql.streaming.query import StreamingQuery

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # between two looks at the stream and at the cluster
_CANCEL_SECONDS = 3.0  # for Spark to end tasks that nobody needs any more
_END_SECONDS = 10.0  # for a stream to end once its tasks have


class _StreamEnded(Exception):
    """Raised in a stream's own thread, so that a micro-batch does not count as done.

    Its text is short: what Spark's own exceptions say is long, and Spark searches it with a
    recursive expression when a query is stopped, which may overflow the stack of its thread.
    """


class StreamFeed:
    """A feed that takes the micro-batches of a stream as they arrive.

    The stream ends when it has no more rows, when `stop` is called, or when every node's program
    has ended or needs no more rows. The nodes then read the feed to the end. Leaving the cluster's
    with block waits for this.

    Attributes:
        query: Spark's streaming query; None for a DStream.
    """

    def __init__(self, coordinator: Coordinator, feed: OpenFeed, source: StreamSource) -> None:
        self._coordinator = coordinator
        self._feed = feed
        self._source = source
        self._job: SparkJob | None = None
        self._job_error: Exception | None = None
        self._complete = False
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._refused = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._follow, name=f"stream of feed {feed.name}", daemon=True
        )
        try:
            source.start(self._take)
        except BaseException:
            feed.close()
            raise
        self._thread.start()

    @property
    def query(self) -> StreamingQuery | None:
        """Spark's streaming query; None for a DStream."""
        return self._source.query

    @property
    def active(self) -> bool:
        """Whether more rows may arrive."""
        return not self._ended.is_set()

    @property
    def report(self) -> FeedReport:
        """What has been fed and read so far."""
        return self._feed.report(self._complete)

    def stop(self) -> None:
        """End the stream after the current micro-batch, and return when it has ended.

        The nodes then read the remaining rows. May be called from any thread, and more than once.

        Raises:
            TensorSparkMLError: The stream or a node has failed.
        """
        self._stopping.set()
        self._coordinator.require(None, until=self._ended.is_set)

    @checked(seconds=optional(seconds))
    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the stream has ended and the nodes have read it.

        Args:
            seconds: How long to wait at most; None for no limit.

        Returns:
            Whether both happened in that time.

        Raises:
            FeedError: The stream has failed.
            NodeError: A node has failed.
        """
        timeout = FOREVER if seconds is None else seconds
        deadline = time.monotonic() + timeout
        ended = self._coordinator.require(None, timeout, until=self._ended.is_set)
        return ended and self._coordinator.require(
            FeedDone(self._feed.name, passes=1), deadline - time.monotonic()
        )

    def abandon(self) -> None:
        """End the stream at once, without waiting for its current micro-batch."""
        self._abandoned.set()

    def join(self) -> None:
        """Wait a few seconds until a stream that failed or was abandoned has ended."""
        if not self._ended.wait(_CANCEL_SECONDS + _END_SECONDS):
            logger.warning("Spark has not ended the stream of feed %r", self._feed.name)

    # In the thread of Spark's stream

    def _take(self, rows: RowSource, name: str) -> None:
        """Feed one micro-batch."""
        if self._over() or (self._stopping.is_set() and not self._source.drains):
            self._refused.set()
            raise _StreamEnded("the feed takes no more rows")
        outcome: list[Exception | None] = []
        try:
            job = self._feed.job(rows, outcome.append, part=name)
        except TensorSparkMLError as wrong:  # a writer does not tell its columns before
            self._job_error = wrong
            raise _StreamEnded(wrong.message) from None
        self._job = job
        job.run()
        self._job = None
        [error] = outcome
        if error is not None:
            interrupted = interruption(error)
            self._job_error = None if job.cancelled or interrupted else error
            raise _StreamEnded(interrupted or feed_failure(error, self._feed.name).message)
        if self._over():  # what was delivered may be only a part
            raise _StreamEnded("the feed takes no more rows")

    # In a thread of its own

    def _follow(self) -> None:
        try:
            try:
                self._complete = self._wait_for_end()
            finally:
                self._source.stop()  # which an error does not do everywhere
        except Exception as error:  # whatever Spark raises has ended the stream
            cut_off = self._over()
            self._complete = self._refused.is_set() and not cut_off
            # Its own failure is told also where another one, which it may have caused, came first.
            if not self._complete and (self._job_error or not cut_off):
                cause = self._job_error or error
                self._coordinator.fail(feed_failure(cause, self._feed.name))
        finally:
            if not self._coordinator.failed:
                self._feed.close()
            self._ended.set()
            self._coordinator.wake()

    def _wait_for_end(self) -> bool:
        """Return whether the stream has ended by itself or on request, rather than cut off."""
        while not self._source.ended(_LOOK_SECONDS):
            if over := self._over():
                self._cancel()
            if over or (self._stopping.is_set() and self._quiet()):
                self._source.stop()
                self._source.ended(_LOOK_SECONDS)  # raises where an error was faster
                return not over
        return True

    def _quiet(self) -> bool:
        """Whether the stream can be stopped with no micro-batch done by half.

        Spark records a micro-batch as done only after it was taken. If the stream was stopped
        right then, a query that goes on from its checkpoint would bring the rows again.
        """
        return self._job is None and (self._refused.is_set() or self._source.idle())

    def _over(self) -> bool:
        """Whether nobody needs another row."""
        unwanted = self._coordinator.feed_unwanted(self._feed.name)
        return self._coordinator.failed or unwanted or self._abandoned.is_set()

    def _cancel(self) -> None:
        job = self._job
        if job is not None and not job.cancel(_CANCEL_SECONDS):
            logger.warning("Spark still runs the tasks of feed %r", self._feed.name)
