"""Messages and plans survive their way as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorsparkml.control.keys import Keys
from tensorsparkml.control.messages import (
    Directive,
    Failure,
    FeedProgress,
    Give,
    Peer,
    Publish,
    decode_directive,
    decode_failure,
    encode_directive,
    encode_failure,
)
from tensorsparkml.control.plan import ClusterPlan
from tensorsparkml.roles import node_name

directives: st.SearchStrategy[Directive] = st.one_of(
    *(st.from_type(kind) for kind in get_args(Directive))
)
plans = st.from_type(ClusterPlan).filter(lambda plan: plan.lease_seconds == plan.lease_seconds)


@given(directives)
def test_a_directive_survives(directive: Directive) -> None:
    body = json.loads(json.dumps(encode_directive(directive)))
    assert decode_directive(body) == directive
    assert body["kind"] == type(directive).__name__


def test_decoding_leaves_the_body_as_it_is() -> None:
    body = encode_directive(Publish("train", "0", 3))
    assert decode_directive(body) == decode_directive(body)


def test_directives_with_the_same_fields_stay_apart() -> None:
    # Give has Publish's fields and one more.
    give = Give("train", "0", 1, 3)
    assert isinstance(decode_directive(encode_directive(give)), Give)


@pytest.mark.parametrize("body", [{"kind": "Reboot"}, {}, {"kind": "End", "reason": "?"}])
def test_what_is_no_directive_is_refused(body: dict[str, str]) -> None:
    with pytest.raises((KeyError, TypeError)):
        decode_directive(body)


@given(st.from_type(Failure))
def test_a_failure_survives(failure: Failure) -> None:
    decoded = decode_failure(json.loads(json.dumps(encode_failure(failure))))
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


@pytest.mark.parametrize("kind", [*get_args(Directive), Peer, Failure, FeedProgress, ClusterPlan])
def test_messages_cannot_be_changed(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_a_node_is_named_after_its_role() -> None:
    assert node_name("worker", 1) == "worker:1"
    assert Peer(2, "worker", 1, "h", 1, 2, "/spool").name == "worker:1"
