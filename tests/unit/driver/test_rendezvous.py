"""Launch tasks that find each other through the coordinator, over real connections."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tensorsparkml._version import __version__
from tensorsparkml.control.cluster_state import ClusterState
from tensorsparkml.control.plan import ClusterPlan
from tensorsparkml.driver.coordinator import Coordinator
from tensorsparkml.executor.rendezvous import meet


def plan(coordinator: str) -> ClusterPlan:
    return ClusterPlan(
        cluster_id="c0ffee",
        token="5e884898da280471",
        coordinator=coordinator,
        roles=(("chief", 0), ("worker", 0)),
        hold=True,
        direct_feed=None,
        direct_limited=False,
        lease_seconds=6.0,
        version=__version__,
        python=".".join(map(str, sys.version_info[:2])),
        packages=(),
        default_fs="file:///",
        working_dir="/",
        log_dir=None,
        work_dir=None,
        environment={},
    )


def test_all_get_what_all_have_found() -> None:
    state = ClusterState(["chief:0", "worker:0"], lease_seconds=60.0)
    coordinator = Coordinator(state, "5e884898da280471", "127.0.0.1", "127.0.0.1")
    cluster = plan(coordinator.location)
    try:
        with ThreadPoolExecutor(1) as pool:
            early = pool.submit(meet, cluster, 1, {"rank": 1})
            assert meet(cluster, 0, {"rank": 0}) == [{"rank": 0}, {"rank": 1}]
            assert early.result() == [{"rank": 0}, {"rank": 1}]
    finally:
        coordinator.close()


def test_a_coordinator_out_of_reach_is_named() -> None:
    with pytest.raises(ConnectionError, match=r"grpc\+tcp://127\.0\.0\.1:1.*spark\.driver\.host"):
        meet(plan("grpc+tcp://127.0.0.1:1"), 0, {})
