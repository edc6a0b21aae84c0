"""Launch tasks that find each other through the coordinator, over real connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.example_keys import COORDINATOR, KEYS
from tests.unit.example_plan import example_plan

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.protocol.keys import of_node
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.executor.launch.rendezvous import meet
from tensorsparkml.roles import make_roles


def connect(plan: ClusterPlan, rank: int) -> RpcClient:
    return RpcClient(plan.coordinator, KEYS.credentials(of_node(rank)))


def test_all_get_what_all_have_found() -> None:
    state = ClusterState(make_roles(2), lease_seconds=60.0)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    plan = example_plan(coordinator=coordinator.location, roles=make_roles(2), launched=2)
    clients = [connect(plan, rank) for rank in range(2)]
    try:
        with ThreadPoolExecutor(1) as pool:
            early = pool.submit(meet, clients[1], plan, 1, {"rank": 1})
            assert meet(clients[0], plan, 0, {"rank": 0}) == [{"rank": 0}, {"rank": 1}]
            assert early.result() == [{"rank": 0}, {"rank": 1}]
    finally:
        for client in clients:
            client.close()
        coordinator.close()


def test_a_coordinator_out_of_reach_is_named() -> None:
    plan = example_plan(coordinator="grpc+tcp://127.0.0.1:1")
    with pytest.raises(ConnectionError, match=r"grpc\+tcp://127\.0\.0\.1:1.*spark\.driver\.host"):
        meet(connect(plan, 0), plan, 0, {})
