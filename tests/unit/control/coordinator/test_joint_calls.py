"""A main that calls what the others do not call any more."""

from __future__ import annotations

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.joint_calls import JointCalls
from tensorsparkml.control.coordinator.root_cause import root_cause
from tensorsparkml.control.protocol.directives import Stop
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.roles import make_roles

NAMES = ["chief:0", "worker:0", "worker:1"]


def test_nobody_waits_while_all_run() -> None:
    calls = JointCalls(NAMES)
    calls.begun(0, 5, "evaluate")
    assert calls.left_alone([], [0, 1, 2]) is None


def test_nobody_waits_in_a_call_that_those_have_made_who_returned() -> None:
    calls = JointCalls(NAMES)
    for rank in range(3):
        calls.begun(rank, 1, "fit")
    assert calls.left_alone([1], [0, 2]) is None
    assert calls.left_alone([0, 1, 2], []) is None


def test_who_waits_for_whom_is_told() -> None:
    calls = JointCalls(NAMES)
    for rank in range(3):
        calls.begun(rank, 1, "fit")
    calls.begun(0, 2, "evaluate")
    failure = calls.left_alone([1], [0, 2])
    assert failure is not None and failure.node == "chief:0"
    assert failure.message.startswith("evaluate waits for worker:0, whose program has returned")
    assert "call 2 of fit, evaluate or predict on chief:0, and worker:0 has made 1" in (
        failure.message
    )


def test_who_is_in_no_call_any_more_waits_for_nobody() -> None:
    calls = JointCalls(NAMES)
    for rank in range(3):
        calls.begun(rank, 1, "fit")
        calls.ended(rank)
    calls.begun(0, 2, "predict")  # which fails before it needs the others, and is caught
    calls.ended(0)
    assert calls.left_alone([1, 2], [0]) is None
    calls.begun(0, 3, "evaluate")
    failure = calls.left_alone([1, 2], [0])
    assert failure is not None and failure.message.startswith("evaluate waits for worker:0")


def test_the_cluster_fails_with_it() -> None:
    state = ClusterState(make_roles(2), 30.0)
    for rank, role in enumerate(("chief", "worker")):
        state.started(rank, Peer(rank, role, 0, "10.0.0.1", 7000, 7001, "/spool"))
        state.heard(rank, 0.0)
    state.joint_calls.begun(0, 1, "predict")
    assert state.tick(0.0).addressed == []
    state.finished(1, b"")
    stops = state.tick(0.1).addressed
    assert [(rank, type(directive)) for rank, directive in stops] == [(0, Stop), (1, Stop)]
    assert root_cause(state.failures)[0].node == "chief:0"
    assert state.tick(0.2).addressed == []


def test_mains_that_run_on_are_told_once() -> None:
    calls = JointCalls(NAMES)
    assert calls.tell([1], [0, 2], 0.0) is None
    assert calls.tell([1], [0, 2], 100.0) is None  # they do not compute together
    calls.begun(0, 0, "the strategy")
    assert calls.tell([], [0, 1, 2], 100.0) is None
    assert calls.tell([1], [0, 2], 100.0) is None
    assert calls.tell([1], [0, 2], 109.0) is None
    message = calls.tell([1], [0, 2], 110.0)
    assert message is not None
    assert message.startswith(
        "the program has returned on worker:0, and still runs on chief:0; a step"
    )
    assert calls.tell([1], [0, 2], 111.0) is None
