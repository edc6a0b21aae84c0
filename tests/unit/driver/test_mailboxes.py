"""One call of each node that brings its directives, over real connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.example_keys import COORDINATOR, KEYS

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.protocol.events import EVENTS, Gone
from tensorsparkml.control.protocol.keys import of_node
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.roles import make_roles

SECONDS = 60.0  # which only a hang needs


class Node:
    """The connection of one node."""

    def __init__(self, coordinator: Coordinator, rank: int) -> None:
        self._rank = rank
        self._client = RpcClient(coordinator.location, KEYS.credentials(of_node(rank)))
        self._reports = 0

    def follow(self, received: int, wait: float = SECONDS) -> Iterator[list[str]]:
        """Yield the reasons of the directives `Stop` of each reply."""
        body = {"rank": self._rank, "received": received, "wait": wait}
        for reply in self._client.stream("directives", body, timeout=2 * SECONDS):
            yield [directive["reason"] for directive in reply["directives"]]

    def report(self, received: int, *events: Any) -> None:
        self._reports += 1
        encoded = [EVENTS.encode(event) for event in events]
        report = {"rank": self._rank, "number": self._reports, "received": received}
        self._client.call("report", {**report, "events": encoded}, timeout=SECONDS)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    state = ClusterState(make_roles(2), lease_seconds=1e9)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    yield coordinator
    coordinator.close()


@pytest.fixture
def node(coordinator: Coordinator) -> Iterator[Node]:
    node = Node(coordinator, 1)
    yield node
    node.close()


def test_one_call_brings_directives_as_they_come(coordinator: Coordinator, node: Node) -> None:
    coordinator.stop("a")
    coordinator.stop("b")
    replies = node.follow(0)
    assert next(replies) == ["a", "b"]
    coordinator.stop("c")
    assert next(replies) == ["c"]


def test_what_was_not_received_comes_again_and_what_was_acknowledged_does_not(
    coordinator: Coordinator, node: Node
) -> None:
    for reason in "abc":
        coordinator.stop(reason)
    assert list(node.follow(0, wait=0.0)) == [["a", "b", "c"]]
    assert list(node.follow(1, wait=0.0)) == [["b", "c"]]
    node.report(2)
    assert list(node.follow(2, wait=0.0)) == [["c"]]
    # A call that was given up, and comes late.
    assert list(node.follow(1)) == []


def test_the_call_ends_without_news_after_its_time(node: Node) -> None:
    assert list(node.follow(0, wait=0.05)) == []


def test_the_call_ends_when_the_node_is_gone(coordinator: Coordinator, node: Node) -> None:
    coordinator.stop("a")
    replies = node.follow(0)
    assert next(replies) == ["a"]
    node.report(1, Gone())
    assert list(replies) == []


def test_the_call_ends_with_the_coordinator(coordinator: Coordinator, node: Node) -> None:
    coordinator.stop("a")
    replies = node.follow(0)
    assert next(replies) == ["a"]
    coordinator.close()
    assert list(replies) == []
