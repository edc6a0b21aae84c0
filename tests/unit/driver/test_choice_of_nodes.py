"""Feeders that ask the coordinator where their rows should go, over real connections."""

from tests.unit.example_keys import COORDINATOR, FEEDERS

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.executor.feeding.placement import ask_coordinator
from tensorsparkml.roles import make_roles


def test_the_nodes_of_the_feeders_host_are_preferred_until_they_are_ahead() -> None:
    state = ClusterState(make_roles(2), lease_seconds=60.0)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    try:
        coordinator.open_feed(FeedLedger("train", 2))
        place = ask_coordinator(coordinator.location, FEEDERS, "train", "3")
        assert place(True, [1], 2**20) == [1]
        assert place(False, [1], 2**40) == [0, 1]
        assert place(True, [1], 2**20) == [1]  # another attempt
    finally:
        coordinator.close()
