"""What the coordinator refuses to callers that have a token, over real connections."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pyarrow.flight as flight
import pytest
from tests.unit.example_keys import COORDINATOR, FEEDERS, NODES

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.events import EVENTS, Finished
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.roles import make_roles

SECONDS = 30.0


@pytest.fixture
def state() -> ClusterState:
    return ClusterState(make_roles(2), lease_seconds=1e9)


@pytest.fixture
def coordinator(state: ClusterState) -> Iterator[Coordinator]:
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    coordinator.open_feed(FeedLedger("train", 2))
    yield coordinator
    coordinator.close()


def call(coordinator: Coordinator, caller: Credentials, action: str, **body: Any) -> Any:
    client = RpcClient(coordinator.location, caller)
    try:
        return client.call(action, body, timeout=SECONDS)
    finally:
        client.close()


def finished(rank: int) -> dict[str, Any]:
    result = base64.b64encode(b"forged").decode()
    return {"rank": rank, "events": [EVENTS.encode(Finished(result))]}


def test_only_a_node_itself_reports_its_result(coordinator: Coordinator) -> None:
    for caller in (FEEDERS, NODES[0]):
        with pytest.raises(flight.FlightError, match="may not do that"):
            call(coordinator, caller, "report", **finished(1))
    assert coordinator.results() == [None, None]
    call(coordinator, NODES[1], "report", **finished(1))
    assert coordinator.results() == [None, b"forged"]


def test_only_a_node_itself_gets_its_directives(coordinator: Coordinator) -> None:
    for caller in (FEEDERS, NODES[0]):
        with pytest.raises(flight.FlightError, match="may not do that"):
            call(coordinator, caller, "directives", rank=1, received=0, wait=0.0)
    assert call(coordinator, NODES[1], "directives", rank=1, received=0, wait=0.0)["directives"]


def test_feeders_ask_for_room(coordinator: Coordinator) -> None:
    assert call(coordinator, FEEDERS, "admit", feed="train", wait=0.0)["admitted"]


def test_a_commit_names_a_segment_that_can_be_one(coordinator: Coordinator) -> None:
    commit = {"feed": "train", "key": "0.0", "ranks": [0, 1], "rows": [1, 1], "bytes": [8, 8]}
    with pytest.raises(flight.FlightError, match="cannot be the name of a segment"):
        call(coordinator, NODES[0], "commit", **commit, segment="../../../home/x")
    assert coordinator.snapshot().feeds[0].fed == (0, 0)
    call(coordinator, NODES[0], "commit", **commit, segment="0.0-1")
    assert coordinator.snapshot().feeds[0].fed == (1, 1)
