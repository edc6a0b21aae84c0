"""A stream's feed ends when the stream, the nodes or the user end it, and says why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.example_keys import COORDINATOR

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.driver.feeds.delivery import FeedReport, feed_report
from tensorsparkml.driver.feeds.stream import StreamFeed
from tensorsparkml.driver.feeds.stream_sources import Take
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.driver.spark.jobs import Action, SparkJob
from tensorsparkml.errors import DataError, FeedError, MainError, UnsupportedColumnError
from tensorsparkml.roles import make_roles

INTERRUPTED = """An error occurred while calling o1885.collectToPython.
: java.lang.InterruptedException
\tat java.base/java.util.concurrent.locks.AbstractQueuedSynchronizer.acquireSharedInterruptibly
\tat scala.concurrent.impl.Promise$DefaultPromise.tryAwait0(Promise.scala:253)
"""
SECONDS = 60.0  # which only a hang needs


class StubFeed:
    """A feed whose micro-batches are single rows for the only node."""

    name = "train"

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self.ledger = FeedLedger(self.name, 1)
        coordinator.open_feed(self.ledger)
        self.runs = threading.Event()
        self.cancelled = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def job(self, rows: Any, on_end: Any, part: str) -> SparkJob:
        if isinstance(rows, DataError):
            raise rows

        def run() -> list[Any]:
            self.runs.set()
            self.may_end.wait(SECONDS)
            if self.cancelled.is_set():
                raise InterruptedError("cancelled")
            if isinstance(rows, Exception):
                raise rows
            self.ledger.rows[0] += 1
            return []

        def cancel(_: str) -> None:
            self.cancelled.set()
            self.may_end.set()

        action = Action(run, lambda tag: None, lambda tag: None, cancel)
        return SparkJob(action, "tag", lambda _, error: on_end(error))

    def close(self) -> None:
        self._coordinator.close_feed(self.name)

    def report(self, complete: bool) -> FeedReport:
        return feed_report(self.ledger, complete)


class StubStream:
    """A stream whose micro-batches the test hands over."""

    query = None
    drains = False

    def __init__(self) -> None:
        self.has_ended = threading.Event()
        self.error: Exception | None = None
        self.recorded = threading.Event()  # as done, in the checkpoint
        self.recorded.set()

    def start(self, take: Take) -> None:
        self.take = take

    def push(self, name: str, rows: Any = None) -> threading.Thread:
        """Hand over a micro-batch in the stream's thread, which an exception ends."""

        def run() -> None:
            try:
                self.take(rows, name)
            except Exception as error:
                # As Spark does where a query that is stopped interrupts its thread.
                if not str(error).startswith("py4j.protocol.Py4JJavaError"):
                    self.error = error
                self.has_ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def ended(self, seconds: float) -> bool:
        if self.has_ended.wait(min(seconds, 0.01)) and self.error is not None:
            raise self.error
        return self.has_ended.is_set()

    def idle(self) -> bool:
        return self.recorded.is_set()

    def stop(self) -> None:
        self.has_ended.set()


class Setup:
    """A stream that feeds one node."""

    def __init__(self) -> None:
        self.state = ClusterState(make_roles(1), lease_seconds=1e9, settle_seconds=0.0)
        self.coordinator = Coordinator(self.state, COORDINATOR, "127.0.0.1", "127.0.0.1")
        self.feed = StubFeed(self.coordinator)
        self.source = StubStream()
        self.stream = StreamFeed(self.coordinator, self.feed, self.source)  # type: ignore[arg-type]

    def read(self, progress: FeedProgress) -> None:
        self.state.consumed(0, "train", progress)


@pytest.fixture
def setup() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.stream.abandon()
    setup.stream.join()
    assert setup.source.has_ended.is_set()
    setup.coordinator.close()


def test_a_stream_that_ends_closes_the_feed(setup: Setup) -> None:
    for name in "01":
        setup.source.push(name).join()
    assert setup.stream.active
    assert not setup.stream.wait(0.0)
    setup.source.has_ended.set()
    setup.stream.join()
    assert setup.feed.ledger.closed
    assert not setup.stream.wait(0.0)  # nobody has read it
    setup.read(FeedProgress(passes=1))
    assert setup.stream.wait()
    assert setup.stream.report == FeedReport(2, (2,), rows_read=0, complete=True)


def test_a_stop_waits_until_the_micro_batch_is_recorded(setup: Setup) -> None:
    setup.feed.may_end.clear()
    setup.source.recorded.clear()
    taking = setup.source.push("0")
    assert setup.feed.runs.wait(SECONDS)
    stopping = threading.Thread(target=setup.stream.stop)
    stopping.start()
    setup.feed.may_end.set()
    taking.join()
    assert not setup.source.has_ended.is_set()
    setup.source.recorded.set()
    stopping.join()
    assert setup.stream.report == FeedReport(1, (1,), rows_read=0, complete=True)


def test_a_micro_batch_that_comes_after_a_stop_is_refused(setup: Setup) -> None:
    setup.source.recorded.clear()
    stopping = threading.Thread(target=setup.stream.stop)
    stopping.start()
    # Until the stop is seen, a micro-batch is taken as before.
    number = 0
    while not setup.source.has_ended.is_set():
        setup.source.push(str(number)).join()
        number += 1
    stopping.join()
    assert setup.stream.report == FeedReport(number - 1, (number - 1,), rows_read=0, complete=True)
    assert not setup.state.failures


def test_nodes_that_want_no_more_cancel_the_job(setup: Setup) -> None:
    setup.feed.may_end.clear()
    taking = setup.source.push("0")
    assert setup.feed.runs.wait(SECONDS)
    setup.read(FeedProgress(terminated=True))
    taking.join()
    assert setup.stream.wait()
    assert setup.feed.cancelled.is_set()
    assert setup.feed.ledger.closed
    assert setup.stream.report == FeedReport(0, (0,), rows_read=0, complete=False)


def test_columns_that_cannot_be_fed_end_the_stream(setup: Setup) -> None:
    setup.source.push("0", UnsupportedColumnError("two columns are named 'id'"))
    with pytest.raises(UnsupportedColumnError, match="two columns are named 'id'"):
        setup.stream.wait()


def test_an_error_of_the_stream_is_a_failed_feed(setup: Setup) -> None:
    setup.source.push("0", ZeroDivisionError("in the micro-batch"))
    with pytest.raises(FeedError, match="in the micro-batch"):
        setup.stream.wait()
    setup.stream.join()
    assert not setup.feed.ledger.closed
    assert not setup.stream.report.complete


def test_a_micro_batch_in_which_its_query_is_stopped_is_no_failure(setup: Setup) -> None:
    setup.source.push("0", RuntimeError(INTERRUPTED))
    setup.stream.join()
    assert setup.feed.ledger.closed
    assert not setup.state.failures


def test_an_error_of_a_node_ends_the_stream(setup: Setup) -> None:
    setup.coordinator.fail(Failure("MainError", "main raised", "chief:0"))
    with pytest.raises(MainError):
        setup.stream.wait()
    setup.stream.join()
    assert not setup.stream.active
    setup.source.push("0").join()
    assert setup.stream.report == FeedReport(0, (0,), rows_read=0, complete=False)
    assert [failure.kind for failure in setup.state.failures] == ["MainError"]


def test_a_stream_that_is_abandoned_ends_at_once(setup: Setup) -> None:
    setup.feed.may_end.clear()
    taking = setup.source.push("0")
    assert setup.feed.runs.wait(SECONDS)
    setup.stream.abandon()
    taking.join()
    setup.stream.join()
    assert setup.stream.report == FeedReport(0, (0,), rows_read=0, complete=False)
    assert not setup.state.failures
