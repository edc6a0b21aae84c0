"""How often agents report that have no urgent news."""

from __future__ import annotations

import pytest

from tensorsparkml.control.protocol.pace import heartbeat_seconds, lines_seconds


@pytest.mark.parametrize("nodes", [1, 2, 10])
def test_nodes_of_small_clusters_report_often(nodes: int) -> None:
    assert heartbeat_seconds(nodes, 30.0) == 1.0
    assert lines_seconds(nodes, 30.0) == 0.1


@pytest.mark.parametrize("lease", [2.0, 6.0, 30.0, 600.0])
@pytest.mark.parametrize("nodes", [1, 50, 400, 1_000, 100_000])
def test_no_node_is_quiet_for_so_long_that_a_silence_would_be_logged(
    nodes: int, lease: float
) -> None:
    assert heartbeat_seconds(nodes, lease) <= max(1.0, lease / 4)
    assert lines_seconds(nodes, lease) <= max(0.1, lease / 4)


def test_reports_per_second_of_all_nodes_are_bounded() -> None:
    for nodes in (100, 400, 700):
        assert nodes / heartbeat_seconds(nodes, 30.0) <= 100.0
    assert 1_000 / heartbeat_seconds(1_000, 30.0) < 150.0
