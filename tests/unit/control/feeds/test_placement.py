"""Where feeders' rows go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.feeds.placement import Placement


def test_rows_stay_on_their_host() -> None:
    placement = Placement(4, lead_bytes=100)
    assert placement.place("0", True, [0, 1], 200) == (0, 1)
    assert placement.place("1", True, [2, 3], 200) == (2, 3)
    assert placement.place("0", False, [0, 1], 200) == (0, 1)


def test_a_host_that_is_ahead_shares() -> None:
    placement = Placement(2, lead_bytes=100)
    assert placement.place("0", True, [0], 100) == (0,)
    assert placement.place("0", False, [0], 100) == (0, 1)
    assert placement.place("1", True, [1], 100) == (1,)
    assert placement.place("0", False, [0], 100) == (0,)


def test_rows_from_a_host_without_nodes_are_spread() -> None:
    assert Placement(3, lead_bytes=100).place("0", True, [], 9000) == (0, 1, 2)


def test_what_a_lost_attempt_was_given_does_not_count() -> None:
    placement = Placement(2, lead_bytes=100)
    for _ in range(5):
        assert placement.place("0", True, [0], 100) == (0,)


@given(
    nodes=st.integers(1, 6),
    asked=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), max_size=80),
)
def test_no_node_gets_further_ahead_than_allowed(nodes: int, asked: list[tuple[int, int]]) -> None:
    placement, totals = Placement(nodes, lead_bytes=100), [0.0] * nodes
    for number, (host, size) in enumerate(asked):
        near = [rank for rank in range(nodes) if rank % 3 == host % 3]
        for rank in (chosen := placement.place(str(number), True, near, size)):
            totals[rank] += size / len(chosen)
    assert max(totals) - min(totals) <= 100
