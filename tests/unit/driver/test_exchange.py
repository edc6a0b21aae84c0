"""Values that nodes exchange through the coordinator, over real connections."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.example_keys import COORDINATOR, NODES

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.roles import make_roles
from tensorsparkml.trainer.all_gather import Exchange


@pytest.fixture
def state() -> ClusterState:
    return ClusterState(make_roles(2), lease_seconds=60.0)


@pytest.fixture
def exchanges(state: ClusterState) -> Iterator[list[Exchange]]:
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    yield [Exchange(coordinator.location, NODES[rank], rank, 2) for rank in range(2)]
    coordinator.close()


def test_all_get_the_values_of_all_by_rank(exchanges: list[Exchange]) -> None:
    def gather(rank: int) -> list[list[object]]:
        return [
            exchanges[rank].all_gather(key, {"rank": rank, "key": key}) for key in ("one", "two")
        ]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(gather, range(2)))
    expected = [[{"rank": rank, "key": key} for rank in range(2)] for key in ("one", "two")]
    assert found == [expected, expected]


def test_a_node_that_has_ended_is_not_waited_for(
    exchanges: list[Exchange], state: ClusterState
) -> None:
    state.finished(1, b"")
    with pytest.raises(ConfigurationError, match=r"worker:0 ended without opening files 1"):
        exchanges[0].all_gather("files 1", 1)


def test_a_node_alone_needs_nobody() -> None:
    assert Exchange("grpc+tcp://127.0.0.1:1", NODES[0], 0, 1).all_gather("x", {1: (2,)}) == [
        {"1": [2]}
    ]
