"""Reports of nodes count once, whatever the handlers of the driver's loggers do."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.example_keys import COORDINATOR, KEYS

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.conditions import AllFinished
from tensorsparkml.control.protocol.events import (
    EVENTS,
    AwaitsEnd,
    Dropped,
    Event,
    Finished,
    Lines,
)
from tensorsparkml.control.protocol.keys import of_node
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.roles import make_roles

SECONDS = 60.0  # which only a hang needs
RESULT = base64.b64encode(b"result").decode()


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    state = ClusterState(make_roles(1), lease_seconds=1e9)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    yield coordinator
    coordinator.close()


@pytest.fixture
def client(coordinator: Coordinator) -> Iterator[RpcClient]:
    client = RpcClient(coordinator.location, KEYS.credentials(of_node(0)))
    yield client
    client.close()


class Handler(logging.Handler):
    """A handler of the user's, which does what it is told."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        self.act(record)


@pytest.fixture
def handler() -> Iterator[Handler]:
    handler, logger = Handler(lambda record: None), logging.getLogger("tensorsparkml.node")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def report(number: int, *events: Event) -> dict[str, Any]:
    encoded = [EVENTS.encode(event) for event in events]
    return {"rank": 0, "number": number, "received": 0, "events": encoded}


LINES = Lines(("one", "two"))
FINISHED = Finished(RESULT)


def test_a_handler_that_raises_loses_no_event(
    coordinator: Coordinator,
    client: RpcClient,
    handler: Handler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_value))

    def fail(record: logging.LogRecord) -> None:
        raise OSError("the log server is down")

    handler.act = fail
    client.call("report", report(1, LINES, FINISHED), timeout=SECONDS)
    assert coordinator.wait_for(AllFinished(), SECONDS)
    client.call("report", report(2, LINES), timeout=SECONDS)
    coordinator.close()
    assert [str(error) for error in shown] == ["the log server is down"]  # not hidden, and once


def test_a_handler_that_blocks_keeps_no_report(
    coordinator: Coordinator, client: RpcClient, handler: Handler
) -> None:
    released = threading.Event()
    handler.act = lambda record: released.wait(SECONDS)
    try:
        client.call("report", report(1, LINES, FINISHED), timeout=SECONDS)
        assert coordinator.wait_for(AllFinished(), SECONDS)
        assert not released.is_set()
    finally:
        released.set()


def test_a_report_that_is_repeated_while_it_is_handled_counts_once(
    coordinator: Coordinator, client: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[int] = []
    both, original = threading.Event(), ClusterState.awaits_end

    def awaits_end(state: ClusterState, rank: int) -> None:
        applied.append(rank)
        both.wait(0.5)  # in which the second call comes
        original(state, rank)

    monkeypatch.setattr(ClusterState, "awaits_end", awaits_end)
    body = report(1, AwaitsEnd())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: client.call("report", body, timeout=SECONDS), range(2)))
    assert applied == [0]


def test_an_event_that_cannot_be_applied_fails_the_cluster(
    coordinator: Coordinator, client: RpcClient
) -> None:
    client.call("report", report(1, Dropped("no", 1)), timeout=SECONDS)
    error = coordinator.failure(SECONDS)
    assert error is not None and error.node == "chief:0"
    assert "cannot apply 'Dropped'" in error.message


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"kind": "Exploded"}, "cannot apply 'Exploded' of chief:0: ValueError(\"unknown kind"),
        ({"kind": "Dropped", "rows": 1}, "Dropped lacks the field feed"),
    ],
)
def test_a_report_that_holds_no_event_fails_the_cluster_and_counts(
    coordinator: Coordinator, client: RpcClient, event: dict[str, Any], text: str
) -> None:
    body = {"rank": 0, "number": 1, "received": 0, "events": [event, EVENTS.encode(FINISHED)]}
    client.call("report", body, timeout=SECONDS)  # which is not repeated
    error = coordinator.failure(SECONDS)
    assert error is not None and error.node == "chief:0"
    assert text in error.message
    assert coordinator.results() == [b"result"]


def test_time_passes_though_no_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    ticked = threading.Semaphore(0)
    original = ClusterState.tick

    def tick(state: ClusterState, now: float) -> Any:
        ticked.release()
        return original(state, now)

    monkeypatch.setattr(ClusterState, "tick", tick)
    state = ClusterState(make_roles(1), lease_seconds=1e9)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    assert all(ticked.acquire(timeout=SECONDS) for _ in range(3))
    coordinator.close()
    assert "coordinator ticker" not in {thread.name for thread in threading.enumerate()}
