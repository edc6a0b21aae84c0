"""The agent's conversations with the coordinator, with a scripted coordinator."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.flight as flight
import pytest

from tensorsparkml.control.messages import Directive, End, Publish, Release, encode_directive
from tensorsparkml.executor import reporting
from tensorsparkml.executor.logs import NodeLog
from tensorsparkml.executor.reporting import Lease, Mailbox, Reporter

SECONDS = 300.0


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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def log(tmp_path: Path) -> NodeLog:
    return NodeLog(tmp_path / "node.log")


def test_a_lease_ends_after_silence(clock: Clock) -> None:
    lease = Lease(6.0)
    clock.now = 106.0
    assert not lease.expired
    clock.now = 106.1
    assert lease.expired


def test_a_lease_is_renewed_by_every_answer(clock: Clock) -> None:
    lease = Lease(6.0)
    clock.now = 105.0
    lease.renew()
    clock.now = 110.0
    assert not lease.expired
    clock.now = 111.5
    assert lease.expired


def run_mailbox(clock: Clock, *replies: Any) -> tuple[Coordinator, list[Directive], Lease]:
    lease = Lease(6.0)
    delivered: list[Directive] = []
    coordinator = Coordinator(*replies, on_last=lambda: mailbox.stop())
    mailbox = Mailbox(coordinator, 1, lease, delivered.append)  # type: ignore[arg-type]
    clock.now = 200.0
    mailbox.run()
    return coordinator, delivered, lease


def directives(*found: Directive) -> dict[str, Any]:
    return {"directives": [encode_directive(directive) for directive in found]}


def test_directives_are_delivered_in_order_each_once(clock: Clock) -> None:
    first, second, third = Publish("train", "a", 3), Release("train", 3), End()
    coordinator, delivered, lease = run_mailbox(
        clock, directives(first, second), directives(), directives(third)
    )
    assert delivered == [first, second, third]
    assert [name for name, _ in coordinator.calls] == ["poll"] * 3
    assert [body["seen"] for _, body in coordinator.calls] == [0, 2, 2]
    assert {body["rank"] for _, body in coordinator.calls} == {1}
    assert not lease.expired


def test_silence_renews_no_lease(clock: Clock) -> None:
    lost = flight.FlightUnavailableError("gone")
    _, delivered, lease = run_mailbox(clock, lost)
    assert delivered == []
    assert lease.expired


def test_a_poll_that_failed_is_repeated(clock: Clock) -> None:
    coordinator, delivered, _ = run_mailbox(
        clock, directives(End()), flight.FlightTimedOutError("slow"), directives(End())
    )
    assert [body["seen"] for _, body in coordinator.calls] == [0, 1, 1]
    assert delivered == [End(), End()]


def events_of(coordinator: Coordinator) -> list[dict[str, Any]]:
    assert {name for name, _ in coordinator.calls} == {"report"}
    assert {body["rank"] for _, body in coordinator.calls} == {1}
    return [event for _, body in coordinator.calls for event in body["events"]]


def test_lines_come_before_events_and_the_farewell_last(log: NodeLog) -> None:
    coordinator = Coordinator()
    reporter = Reporter(coordinator, 1, log, Lease(SECONDS))  # type: ignore[arg-type]
    log.follow(io.BytesIO(b"one\ntwo\n"))
    reporter.send("failed", failure={"kind": "MainError"})
    reporter.send("progress", rows=3)
    reporter.start()
    reporter.finish(SECONDS)
    assert events_of(coordinator) == [
        {"kind": "lines", "lines": ["one", "two"]},
        {"kind": "failed", "failure": {"kind": "MainError"}},
        {"kind": "progress", "rows": 3},
        {"kind": "gone"},
    ]


def test_a_node_without_news_says_goodbye_too(log: NodeLog) -> None:
    coordinator = Coordinator()
    reporter = Reporter(coordinator, 1, log, Lease(SECONDS))  # type: ignore[arg-type]
    reporter.start()
    reporter.finish(SECONDS)
    assert events_of(coordinator) == [{"kind": "gone"}]


def test_a_report_that_did_not_arrive_is_sent_again(log: NodeLog) -> None:
    coordinator = Coordinator(*[flight.FlightUnavailableError("gone")] * 2)
    reporter = Reporter(coordinator, 1, log, Lease(SECONDS))  # type: ignore[arg-type]
    reporter.send("finished", result="")
    reporter.start()
    reporter.finish(SECONDS)
    sent = [(body["number"], body["events"]) for _, body in coordinator.calls]
    assert sent[0] == sent[1] == sent[2]
    assert sent[0][1][0] == {"kind": "finished", "result": ""}
    assert sent[-1][1][-1] == {"kind": "gone"}


def test_a_coordinator_that_is_gone_does_not_keep_the_reporter(clock: Clock, log: NodeLog) -> None:
    coordinator = Coordinator()
    lease = Lease(SECONDS)
    clock.now += 2 * SECONDS
    reporter = Reporter(coordinator, 1, log, lease)  # type: ignore[arg-type]
    reporter.send("started")
    reporter.start()
    reporter.finish(SECONDS)
    assert coordinator.calls == []
