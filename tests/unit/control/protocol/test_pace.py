"""How often agents call that have no news."""

from __future__ import annotations

import pytest

from tensorsparkml.control.protocol.pace import lines_seconds, poll_seconds


@pytest.mark.parametrize("nodes", [1, 2, 10])
def test_small_clusters_call_often(nodes: int) -> None:
    assert poll_seconds(nodes, 30.0) == 1.0
    assert lines_seconds(nodes, 30.0) == 0.1


@pytest.mark.parametrize("lease", [2.0, 6.0, 30.0, 600.0])
@pytest.mark.parametrize("nodes", [1, 50, 400, 1_000, 100_000])
def test_no_call_is_held_so_long_that_a_silence_would_be_logged(nodes: int, lease: float) -> None:
    assert poll_seconds(nodes, lease) <= max(1.0, lease / 4)
    assert lines_seconds(nodes, lease) <= max(0.1, lease / 4)


def test_calls_per_second_of_all_nodes_are_bounded() -> None:
    for nodes in (100, 400, 700):
        assert nodes / poll_seconds(nodes, 30.0) <= 100.0
    assert 1_000 / poll_seconds(1_000, 30.0) < 150.0
