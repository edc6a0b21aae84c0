"""Messages and plans survive their way as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorsparkml.control.protocol.codec import decode_fields
from tensorsparkml.control.protocol.directives import (
    DIRECTIVES,
    Directive,
    Give,
    Publish,
)
from tensorsparkml.control.protocol.events import (
    EVENTS,
    TRAINER_EVENTS,
    Event,
    Gone,
    Started,
    TrainerSilent,
)
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.keys import Keys
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.roles import node_name

directives: st.SearchStrategy[Directive] = st.one_of(
    *(st.from_type(kind) for kind in get_args(Directive))
)
events: st.SearchStrategy[Event] = st.one_of(*(st.from_type(kind) for kind in get_args(Event)))
plans = st.from_type(ClusterPlan).filter(lambda plan: plan.lease_seconds == plan.lease_seconds)

MESSAGES = [*get_args(Directive), *get_args(Event), Peer, Failure, FeedProgress, ClusterPlan]
STARTED = EVENTS.encode(Started(Peer(0, "chief", 0, "h", 1, 2, "/s"), (7, 8)))


@given(directives)
def test_a_directive_survives(directive: Directive) -> None:
    body = json.loads(json.dumps(DIRECTIVES.encode(directive)))
    assert DIRECTIVES.decode(body) == directive
    assert body["kind"] == type(directive).__name__


@given(events)
def test_an_event_survives(event: Event) -> None:
    body = json.loads(json.dumps(EVENTS.encode(event)))
    decoded = EVENTS.decode(body)
    assert type(decoded) is type(event)
    assert repr(decoded) == repr(event)  # NaN differs from itself


def test_decoding_leaves_the_body_as_it_is() -> None:
    body = DIRECTIVES.encode(Publish("train", "0", 3))
    assert DIRECTIVES.decode(body) == DIRECTIVES.decode(body)


def test_directives_with_the_same_fields_stay_apart() -> None:
    # Give has Publish's fields and one more.
    give = Give("train", "0", 1, 5, 3)
    assert isinstance(DIRECTIVES.decode(DIRECTIVES.encode(give)), Give)


def test_an_event_that_a_trainer_may_not_report_is_unknown_to_its_agent() -> None:
    body = EVENTS.encode(Gone())
    assert EVENTS.decode(body) == Gone()
    with pytest.raises(ValueError, match="unknown kind of message 'Gone'"):
        TRAINER_EVENTS.decode(body)


def test_whole_numbers_are_numbers_too() -> None:
    body = {"kind": "TrainerSilent", "seconds": 10, "state": "stopped"}
    assert EVENTS.decode(body) == TrainerSilent(10.0, "stopped")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "Reboot"}, "unknown kind of message 'Reboot'; known are Open, Drop,"),
        ({}, "unknown kind of message None"),
        ({"kind": "End", "reason": "?"}, "End has no field reason"),
        ({"kind": "Stop"}, "Stop lacks the field reason"),
        ({"kind": "Stop", "reason": None}, "Stop.reason must be str, not None"),
        ({"kind": "LastFeeds", "feeds": "train"}, "LastFeeds.feeds must be a list, not 'train'"),
        ({"kind": "LastFeeds", "feeds": ["a", 1]}, "LastFeeds.feeds must be str, not 1"),
    ],
)
def test_what_is_no_directive_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        DIRECTIVES.decode(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "Publish", "feed": "f", "segment": "s", "rows": 1}, "unknown kind of message"),
        ({**STARTED, "peer": 3}, "Started.peer must be an object, not 3"),
        (
            {**STARTED, "peer": {**STARTED["peer"], "rank": "0"}},
            "Started.peer.rank must be int, not '0'",
        ),
        (
            {**STARTED, "peer": {**STARTED["peer"], "rank": True}},
            "Started.peer.rank must be int, not True",
        ),
        ({**STARTED, "processes": [1.5]}, "Started.processes must be int, not 1.5"),
        (
            {"kind": "EpochEnded", "epoch": 1, "epochs": 2, "logs": [], "seconds": 1.0, "rows": 3},
            "EpochEnded.logs must be an object, not []",
        ),
        ({"kind": "TensorBoardAt", "url": 1}, "TensorBoardAt.url must be str, not 1"),
        (
            {"kind": "Progress", "feed": "f", "progress": {"passed": 1}},
            "Progress.progress has no field passed",
        ),
    ],
)
def test_what_is_no_event_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        EVENTS.decode(body)


@given(st.from_type(Failure))
def test_a_failure_survives(failure: Failure) -> None:
    decoded = decode_fields(Failure, json.loads(json.dumps(dataclasses.asdict(failure))))
    assert decoded == failure
    assert hash(decoded) == hash(failure)


@settings(max_examples=50)
@given(plans)
def test_a_plan_survives(plan: ClusterPlan) -> None:
    decoded = ClusterPlan.decode(plan.encode())
    assert decoded == plan
    assert decoded.nodes == len(plan.roles.nodes)


@settings(max_examples=50)
@given(plans)
def test_a_plan_does_not_show_its_secrets(plan: ClusterPlan) -> None:
    secret = "8c6976e5b5410415"
    keys = Keys(secret, {"feeder": secret}, certificate="PEM", private_key=secret)
    plan = dataclasses.replace(plan, keys=keys)
    for text in (repr(plan), str(plan), f"{plan}", repr([plan]), f"{plan!r}"):
        assert "8c6976e5" not in text
        assert "cluster_id" in text


@pytest.mark.parametrize(
    "kind", [*get_args(Directive), *get_args(Event), Peer, Failure, FeedProgress, ClusterPlan]
)
def test_messages_cannot_be_changed(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_a_node_is_named_after_its_role() -> None:
    assert node_name("worker", 1) == "worker:1"
    assert Peer(2, "worker", 1, "h", 1, 2, "/spool").name == "worker:1"
