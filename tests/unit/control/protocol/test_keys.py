"""Who may do what, by the token that it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.protocol.keys import (
    DATASETS,
    FEEDER,
    Keys,
    make_token,
    may_call,
    of_node,
)

KEYS = Keys(secret="5e884898da280471", certificate="PEM", private_key="KEY")
ACTIONS = ["directives", "report", "gather", "commit", "fed", "admit", "place", "unheard of"]

ranks = st.integers(0, 10_000)
secrets = st.text(min_size=1)


@given(secrets, ranks)
def test_the_coordinator_knows_nodes_and_feeders_by_their_tokens(secret: str, rank: int) -> None:
    keys = Keys(secret)
    check = keys.guard_of_coordinator().check
    assert check(keys.token(of_node(rank))) == of_node(rank)
    assert check(keys.token(FEEDER)) == FEEDER


@given(secrets, st.text())
def test_strangers_are_nobody(secret: str, token: str) -> None:
    check = Keys(secret).guard_of_coordinator().check
    assert check(token) is None
    assert check(f"{FEEDER}.{token}") is None
    assert check(f"{of_node(0)}.{token}") is None


def test_a_token_of_another_cluster_is_nothing() -> None:
    other = Keys(secret="0123456789abcdef")
    assert KEYS.guard_of_coordinator().check(other.token(FEEDER)) is None
    assert KEYS.guard(FEEDER).check(other.token(FEEDER)) is None


def test_a_token_is_none_of_another_caller() -> None:
    signature = KEYS.token(FEEDER).rpartition(".")[2]
    assert KEYS.guard_of_coordinator().check(f"{of_node(0)}.{signature}") is None


def test_what_signs_datasets_opens_no_server() -> None:
    token = KEYS.token(DATASETS)
    assert KEYS.guard_of_coordinator().check(token) is None
    assert KEYS.guard(FEEDER).check(token) is None
    assert KEYS.guard(of_node(0)).check(token) is None


@given(ranks, ranks)
def test_an_agent_has_its_own_tokens_only(rank: int, other: int) -> None:
    keys = KEYS.only_of(rank)
    assert keys.secret is None
    for caller in (of_node(rank), FEEDER, DATASETS):
        assert keys.credentials(caller) == KEYS.credentials(caller)
    if other != rank:
        with pytest.raises(KeyError):
            keys.token(of_node(other))


def test_a_server_for_one_caller_takes_no_other() -> None:
    guard = KEYS.only_of(1).guard(FEEDER)
    assert guard.check(KEYS.token(FEEDER)) == FEEDER
    assert guard.check(KEYS.token(of_node(1))) is None
    assert guard.check("") is None
    assert (guard.certificate, guard.private_key) == ("PEM", "KEY")


def test_who_calls_gets_no_private_key() -> None:
    assert KEYS.credentials(FEEDER).certificate == "PEM"
    assert not hasattr(KEYS.credentials(FEEDER), "private_key")


def test_secrets_are_not_shown() -> None:
    keys = Keys("secret-1", {"feeder": "secret-2"}, "PEM", "secret-3")
    for shown in (keys, keys.credentials(FEEDER), keys.guard(FEEDER), keys.only_of(0)):
        assert "secret" not in repr(shown).replace("secret=None", "")
        assert make_token("secret-1", FEEDER) not in repr(shown)


@pytest.mark.parametrize("action", ACTIONS)
def test_feeders_ask_for_room_and_places_only(action: str) -> None:
    assert may_call(FEEDER, action, {"feed": "train"}) == (action in ("admit", "place"))
    assert may_call(FEEDER, action, {"rank": 0}) == (action in ("admit", "place"))


@pytest.mark.parametrize("action", ACTIONS)
@given(rank=ranks, other=ranks)
def test_nodes_speak_for_themselves_only(action: str, rank: int, other: int) -> None:
    assert may_call(of_node(rank), action, {"feed": "train"})
    assert may_call(of_node(rank), action, {"rank": other}) == (rank == other)
