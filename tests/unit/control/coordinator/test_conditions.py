"""What the driver waits for, and what it sees of the state."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import get_args

import pytest
from tests.unit.example_commits import commit_of

from tensorsparkml.control.coordinator.cluster_state import ClusterState, Phase
from tensorsparkml.control.coordinator.conditions import (
    AllConfirmed,
    AllFinished,
    AllGone,
    AllStarted,
    AnyFailure,
    Condition,
    DeliveryWanted,
    FeedClosed,
    FeedDone,
    FeedUnwanted,
    TensorBoardKnown,
    holds,
)
from tensorsparkml.control.coordinator.snapshot import ClusterSnapshot, FeedCounts, take_snapshot
from tensorsparkml.control.feeds.feed_ledger import FeedLedger, SpoolLimit
from tensorsparkml.control.protocol.codec import Codec
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.roles import make_roles

NODES = 2
PEERS = [Peer(0, "chief", 0, "10.0.0.1", 1, 2, "/s"), Peer(1, "worker", 0, "10.0.0.2", 1, 2, "/s")]


@pytest.fixture
def state() -> ClusterState:
    return ClusterState(make_roles(NODES), lease_seconds=30.0)


def test_nodes_start_finish_and_go(state: ClusterState) -> None:
    def change(node: Callable[[int], object], condition: Condition) -> None:
        for rank in range(NODES):
            assert not holds(condition, state)
            node(rank)
        assert holds(condition, state)

    change(lambda rank: state.started(rank, PEERS[rank]), AllStarted())
    change(lambda rank: state.finished(rank, b""), AllFinished())
    change(state.gone, AllConfirmed())
    assert holds(AllGone(), state)


def test_nothing_is_never_so(state: ClusterState) -> None:
    assert not holds(None, state)


def test_a_failure_ends_the_wait_for_tensorboard(state: ClusterState) -> None:
    assert not holds(AnyFailure(), state) and not holds(TensorBoardKnown(), state)
    state.failed(Failure("MainError", "main raised", "chief:0"), 1.0)
    assert holds(AnyFailure(), state) and holds(TensorBoardKnown(), state)


def test_tensorboard_is_known_also_where_it_has_ended(state: ClusterState) -> None:
    state.tensorboard_at(None)
    assert holds(TensorBoardKnown(), state)
    assert take_snapshot(state).tensorboard_url is None
    state.tensorboard_at("http://h:6006")
    assert take_snapshot(state).tensorboard_url == "http://h:6006"


def test_a_feed_is_closed_read_and_unwanted(state: ClusterState) -> None:
    state.open_feed(FeedLedger("train", NODES))
    state.feeds["train"].commit(commit_of("train", "0", "0-0", (3, 3), (30, 30)))
    assert not holds(FeedClosed("train"), state)
    state.close_feed("train")
    assert holds(FeedClosed("train"), state)
    for rank in range(NODES):
        assert not holds(FeedDone("train", 1), state)
        state.consumed(rank, "train", FeedProgress(1, 3))
    assert holds(FeedDone("train", 1), state) and not holds(FeedDone("train", 2), state)
    assert not holds(FeedUnwanted("train"), state)
    for rank in range(NODES):
        state.consumed(rank, "train", FeedProgress(1, 3, terminated=True))
    assert holds(FeedUnwanted("train"), state) and holds(FeedDone("train", 2), state)


def test_an_unwanted_feed_needs_not_be_closed(state: ClusterState) -> None:
    state.open_feed(FeedLedger("train", NODES))
    for rank in range(NODES):
        state.consumed(rank, "train", FeedProgress(terminated=True))
    assert not state.feeds["train"].closed
    assert holds(FeedClosed("train"), state)


def test_a_delivery_is_wanted_when_all_nodes_have_asked(state: ClusterState) -> None:
    wanted = DeliveryWanted("train", after=0)
    assert not holds(wanted, state)  # a thread may wait before the feed is opened
    state.open_feed(FeedLedger("train", NODES, limit=SpoolLimit(0, cached=False, replayable=True)))
    for rank in range(NODES):
        assert not holds(wanted, state)
        state.begins_pass(rank, "train", 1, whole=False)
    assert holds(wanted, state)
    assert not holds(DeliveryWanted("train", after=1), state)


@pytest.mark.parametrize("kind", get_args(Condition))
def test_conditions_are_plain_data(kind: type[Condition]) -> None:
    codec: Codec[Condition] = Codec(get_args(Condition))
    values = {"feed": "train", "passes": 2, "after": 1}
    condition = kind(**{name: values[name] for name in kind.__dataclass_fields__})
    assert codec.decode(json.loads(json.dumps(codec.encode(condition)))) == condition


def test_a_snapshot_does_not_change_with_the_state(state: ClusterState) -> None:
    state.started(0, PEERS[0], [7, 8])
    ledger = FeedLedger("train", NODES)
    state.open_feed(ledger)
    ledger.commit(commit_of("train", "0", "0-0", (3, 0), (30, 0)))
    before = take_snapshot(state)
    assert before.feeds == (FeedCounts("train", (3, 0), (0, 0)),)
    assert before.running(range(NODES)) == ["chief:0"]
    assert before.peers == PEERS[:1]
    assert before.unconfirmed == ["chief:0 on 10.0.0.1 (processes 7, 8)"]
    ledger.commit(commit_of("train", "1", "0-1", (0, 3), (0, 30)))
    state.started(1, PEERS[1])
    state.finished(0, b"")
    state.gone(0)
    assert before.feeds[0].fed == (3, 0)
    assert [node.phase for node in before.nodes] == [Phase.RUNNING, Phase.PENDING]
    after = take_snapshot(state)
    assert after.feeds[0].fed == (3, 3)
    assert after.finished == ["chief:0"]
    assert after.running(range(NODES)) == ["worker:0"]
    assert after.running([0]) == []
    assert after.unconfirmed == ["worker:0 on 10.0.0.2 (processes unknown)"]


def test_a_snapshot_is_plain_data(state: ClusterState) -> None:
    state.started(0, PEERS[0], [7, 8])
    assert json.loads(json.dumps(asdict(take_snapshot(state)), default=lambda phase: phase.value))
    assert hash(take_snapshot(state)) == hash(take_snapshot(state))
    assert ClusterSnapshot().unconfirmed == ClusterSnapshot().finished == []
