"""How many rows every batch of a node must have."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.datasets.replicas import replicas_of_node


@pytest.mark.parametrize(
    ("replicas", "nodes", "expected"),
    [(1, 1, 1), (2, 2, 1), (8, 2, 4), (4, 1, 4), (1, 3, 1)],  # the last one: with servers
)
def test_each_replica_of_a_node_needs_a_row(replicas: int, nodes: int, expected: int) -> None:
    strategy = SimpleNamespace(num_replicas_in_sync=replicas)
    assert replicas_of_node(strategy, nodes, expected) == expected
    if expected > 1:
        with pytest.raises(ConfigurationError, match=r"batch_size=1 is .* node with 4 replicas"):
            replicas_of_node(strategy, nodes, 1)
