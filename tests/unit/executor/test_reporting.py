"""The agent's conversations with the coordinator, with a scripted coordinator."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.flight as flight
import pytest

from tensorsparkml.control.liveness.driver_watch import Reach
from tensorsparkml.control.protocol.directives import (
    DIRECTIVES,
    Directive,
    End,
    Publish,
    Release,
    Stop,
)
from tensorsparkml.control.protocol.events import (
    EVENTS,
    AwaitsEnd,
    Event,
    Failed,
    Finished,
    Gone,
    Lines,
    PassRequested,
    Progress,
)
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.executor.agent import coordinator_link as reporting
from tensorsparkml.executor.agent.coordinator_link import DriverLink, Mailbox, Reporter, try_port
from tensorsparkml.executor.agent.output_log import NodeLog

SECONDS = 300.0
LINES_SECONDS = 0.1
RECEIVED = 7
FAILED = Failed(Failure("MainError", "main raised"))


def progress(feed: str, passes: int, rows: int, *, terminated: bool = False) -> Progress:
    return Progress(feed, FeedProgress(passes, rows, terminated))


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(reporting, "time", SimpleNamespace(monotonic=lambda: self.now))


class Coordinator:
    """Answers calls from a script; what is an exception is raised."""

    def __init__(self, *replies: Any, on_last: Callable[[], None] = lambda: None) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._replies = list(replies)
        self._on_last = on_last

    def call(self, name: str, body: dict[str, Any], *, timeout: float) -> Any:
        self.calls.append((name, body))
        reply = self._replies.pop(0) if self._replies else {}
        if not self._replies:
            self._on_last()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def stream(self, name: str, body: dict[str, Any], *, timeout: float) -> Iterator[Any]:
        """Yield the replies of one entry of the script, of which an exception is the last."""
        for reply in self.call(name, body, timeout=timeout):
            if isinstance(reply, Exception):
                raise reply
            yield reply


def reporter_of(
    coordinator: Coordinator,
    log: NodeLog,
    link: DriverLink,
    lines_seconds: float = LINES_SECONDS,
    heartbeat_seconds: float = SECONDS,
) -> Reporter:
    client: Any = coordinator
    return Reporter(client, 1, log, link, lambda: RECEIVED, lines_seconds, heartbeat_seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def log(tmp_path: Path) -> NodeLog:
    return NodeLog(tmp_path / "node.log")


def link_of(clock: Clock | None = None, reach: Reach = Reach.ACCEPTED) -> DriverLink:
    return DriverLink(6.0 if clock else SECONDS, lambda: reach)


def run_mailbox(*replies: Any, reach: Reach = Reach.ACCEPTED) -> Any:
    tried: list[Reach] = []

    def try_driver() -> Reach:
        tried.append(reach)
        return reach

    delivered: list[Directive] = []
    coordinator = Coordinator(*replies, on_last=lambda: mailbox.stop())
    link = DriverLink(SECONDS, try_driver)
    mailbox = Mailbox(coordinator, 1, link, delivered.append)  # type: ignore[arg-type]
    mailbox.run()
    return coordinator, delivered, tried


def directives(*found: Directive) -> dict[str, Any]:
    return {"directives": [DIRECTIVES.encode(directive) for directive in found]}


def test_directives_are_delivered_in_order_each_once() -> None:
    first, second, third, fourth = Publish("train", "a", 3), Release("train", 3), Stop(""), End()
    coordinator, delivered, tried = run_mailbox(
        [directives(first, second), directives(third)], [], [directives(fourth)]
    )
    assert delivered == [first, second, third, fourth]
    assert [name for name, _ in coordinator.calls] == ["directives"] * 3
    assert [body["received"] for _, body in coordinator.calls] == [0, 3, 3]
    assert {body["rank"] for _, body in coordinator.calls} == {1}
    assert tried == []


def test_a_call_that_breaks_is_made_again_after_a_look_at_the_port() -> None:
    coordinator, delivered, tried = run_mailbox(
        [directives(End()), flight.FlightUnavailableError("broken")],
        flight.FlightTimedOutError("slow"),
        [directives(End())],
    )
    assert [body["received"] for _, body in coordinator.calls] == [0, 1, 1]
    assert delivered == [End(), End()]
    assert tried == [Reach.ACCEPTED] * 2


def test_a_link_is_gone_after_silence_and_heard_by_every_reply(clock: Clock) -> None:
    link = link_of(clock)
    for clock.now in (100.0, 102.0, 104.0):
        link.look()
    link.heard()
    for clock.now in (106.0, 108.0, 110.0):
        link.look()
    assert link.gone is None
    clock.now = 110.5
    link.look()
    assert link.gone == "no reply from the driver for 6.5 s (lease_seconds=6)"


def test_a_port_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert try_port(f"grpc+tcp://127.0.0.1:{port}") is Reach.ACCEPTED
    assert try_port(f"grpc+tcp://127.0.0.1:{port}") is Reach.REFUSED
    assert try_port("grpc+tcp://no-such-host.invalid:1") is Reach.UNREACHABLE


def events_of(coordinator: Coordinator) -> list[Event]:
    assert {name for name, _ in coordinator.calls} == {"report"}
    assert {body["rank"] for _, body in coordinator.calls} == {1}
    return [EVENTS.decode(event) for _, body in coordinator.calls for event in body["events"]]


def test_lines_come_before_events_and_the_farewell_last(log: NodeLog) -> None:
    coordinator = Coordinator()
    reporter = reporter_of(coordinator, log, link_of())
    log.follow(io.BytesIO(b"one\ntwo\n"))
    reporter.send(FAILED)
    reporter.send(progress("train", 0, 3))
    reporter.start()
    reporter.finish()
    assert events_of(coordinator) == [
        Lines(("one", "two")),
        FAILED,
        progress("train", 0, 3),
        Gone(),
    ]


def test_lines_wait_for_others_and_events_for_nothing(log: NodeLog) -> None:
    coordinator, sent = Coordinator(), threading.Event()
    reporter = reporter_of(coordinator, log, link_of(), SECONDS)
    reporter.start()
    for number in range(100):
        log.follow(io.BytesIO(b"line %d\n" % number))
    assert coordinator.calls == []
    coordinator._on_last = sent.set
    reporter.send(AwaitsEnd())
    assert sent.wait(SECONDS)
    assert events_of(coordinator) == [
        Lines(tuple(f"line {number}" for number in range(100))),
        AwaitsEnd(),
    ]
    reporter.finish()
    assert len(coordinator.calls) == 2


def test_progress_within_a_pass_waits_and_the_end_of_a_pass_does_not(log: NodeLog) -> None:
    coordinator, sent = Coordinator(), threading.Event()
    reporter = reporter_of(coordinator, log, link_of(), SECONDS)
    reporter.start()
    for rows in range(100):
        reporter.send(progress("train", 0, rows))
        reporter.send(progress("other", 0, rows))
    assert coordinator.calls == []
    coordinator._on_last = sent.set
    reporter.send(progress("train", 1, 100))
    assert sent.wait(SECONDS)
    reporter.send(progress("train", 1, 120))
    reporter.send(progress("train", 1, 120, terminated=True))
    reporter.finish()
    # Progress that a later event of the same feed makes worthless is left out.
    assert events_of(coordinator) == [
        progress("other", 0, 99),
        progress("train", 1, 100),
        progress("train", 1, 120, terminated=True),
        Gone(),
    ]


def test_a_node_without_news_says_goodbye_too(log: NodeLog) -> None:
    coordinator = Coordinator()
    reporter = reporter_of(coordinator, log, link_of())
    reporter.start()
    reporter.finish()
    assert events_of(coordinator) == [Gone()]


def test_a_node_without_news_reports_that_it_lives_and_what_it_has_received(log: NodeLog) -> None:
    coordinator, reports = Coordinator(), threading.Semaphore(0)
    coordinator._on_last = reports.release
    reporter = reporter_of(coordinator, log, link_of(), heartbeat_seconds=0.01)
    reporter.start()
    for _ in range(3):
        assert reports.acquire(timeout=SECONDS)
    reporter.finish()
    bodies = [body for _, body in coordinator.calls]
    assert [body["number"] for body in bodies] == list(range(1, len(bodies) + 1))
    assert {body["received"] for body in bodies} == {RECEIVED}
    assert [body["events"] for body in bodies[:3]] == [[]] * 3
    assert events_of(coordinator) == [Gone()]


def test_lines_wait_no_longer_than_until_the_next_heartbeat(log: NodeLog) -> None:
    coordinator, sent = Coordinator(), threading.Event()
    coordinator._on_last = sent.set
    log.follow(io.BytesIO(b"line\n"))
    reporter = reporter_of(coordinator, log, link_of(), SECONDS, heartbeat_seconds=0.01)
    reporter.start()
    assert sent.wait(SECONDS / 2)
    reporter.finish()
    assert events_of(coordinator)[0] == Lines(("line",))


def test_a_report_that_did_not_arrive_is_sent_again(log: NodeLog) -> None:
    coordinator = Coordinator(*[flight.FlightUnavailableError("gone")] * 2)
    reporter = reporter_of(coordinator, log, link_of())
    reporter.send(Finished(""))
    reporter.start()
    reporter.finish()
    sent = [(body["number"], body["events"]) for _, body in coordinator.calls]
    assert sent[0] == sent[1] == sent[2]
    assert sent[0][1][0] == EVENTS.encode(Finished(""))
    assert sent[-1][1][-1] == EVENTS.encode(Gone())


def test_a_coordinator_that_is_gone_does_not_keep_the_reporter(clock: Clock, log: NodeLog) -> None:
    coordinator = Coordinator()
    link = link_of(clock)
    for clock.now in range(100, 110):
        link.look()
    reporter = reporter_of(coordinator, log, link)
    reporter.send(AwaitsEnd())
    reporter.start()
    reporter.finish()
    assert coordinator.calls == []


def test_progress_keeps_its_place_among_the_events(log: NodeLog) -> None:
    coordinator = Coordinator()
    reporter = reporter_of(coordinator, log, link_of())
    reporter.send(progress("train", 1, 10))  # the end of a pass
    reporter.send(progress("train", 1, 15))
    reporter.send(PassRequested("train", 2, whole=True))
    reporter.send(progress("train", 1, 18))
    reporter.start()
    reporter.finish()
    assert events_of(coordinator) == [
        progress("train", 1, 10),
        progress("train", 1, 15),
        PassRequested("train", 2, whole=True),
        progress("train", 1, 18),
        Gone(),
    ]
