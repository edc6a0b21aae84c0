"""A driver that cannot listen where Spark says it is."""

import pytest
from tests.unit.example_keys import COORDINATOR

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.errors import LaunchError
from tensorsparkml.roles import make_roles


def test_address_of_another_host():
    state = ClusterState(make_roles(1), lease_seconds=6.0)
    elsewhere = "203.0.113.1"  # reserved for documentation (RFC 5737): no host has it
    with pytest.raises(LaunchError, match=r"cannot listen on 203\.0\.113\.1.*bindAddress"):
        Coordinator(state, COORDINATOR, elsewhere, elsewhere)


def test_name_of_no_host():
    state = ClusterState(make_roles(1), lease_seconds=6.0)
    unknown = "driver.invalid"  # reserved (RFC 2606): never resolves
    with pytest.raises(LaunchError, match=r"cannot listen on driver\.invalid.*bindAddress"):
        Coordinator(state, COORDINATOR, unknown, unknown)


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", "127.0.0.1"), ("driver.example", "driver.example")]
)
def test_what_nodes_are_told(host, expected):
    state = ClusterState(make_roles(1), lease_seconds=6.0)
    bound = "localhost"
    coordinator = Coordinator(state, COORDINATOR, host, bound)
    try:
        assert coordinator.location.startswith(f"grpc+tcp://{expected}:")
    finally:
        coordinator.close()
