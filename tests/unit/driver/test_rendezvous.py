"""Launch tasks that find each other through the coordinator, over real connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.example_keys import COORDINATOR
from tests.unit.example_plan import example_plan

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.executor.launch.rendezvous import meet
from tensorsparkml.roles import make_roles


def test_all_get_what_all_have_found() -> None:
    state = ClusterState(make_roles(2), lease_seconds=60.0)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    plan = example_plan(coordinator=coordinator.location, roles=make_roles(2), launched=2)
    try:
        with ThreadPoolExecutor(1) as pool:
            early = pool.submit(meet, plan, 1, {"rank": 1})
            assert meet(plan, 0, {"rank": 0}) == [{"rank": 0}, {"rank": 1}]
            assert early.result() == [{"rank": 0}, {"rank": 1}]
    finally:
        coordinator.close()


def test_a_coordinator_out_of_reach_is_named() -> None:
    with pytest.raises(ConnectionError, match=r"grpc\+tcp://127\.0\.0\.1:1.*spark\.driver\.host"):
        meet(example_plan(coordinator="grpc+tcp://127.0.0.1:1"), 0, {})
