"""Threads of the driver that wait for the cluster's state."""

from __future__ import annotations

import threading

from tensorsparkml.control.cluster_state import ClusterState
from tensorsparkml.control.messages import Failure
from tensorsparkml.driver.coordinator import Coordinator
from tensorsparkml.roles import make_roles


def test_threads_that_wait_do_not_wake_each_other() -> None:
    state = ClusterState(make_roles(1), lease_seconds=1e9)
    coordinator = Coordinator(state, "token", "127.0.0.1", "127.0.0.1")
    looks = [0, 0, 0]

    def wait(thread: int) -> None:
        def condition(_: ClusterState) -> bool:
            looks[thread] += 1
            return False

        assert not coordinator.wait_for(condition, timeout=1.0)

    threads = [threading.Thread(target=wait, args=(thread,)) for thread in range(len(looks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    coordinator.close()
    # Four looks a second each, and not as many as the processor can do.
    assert max(looks) < 20


def test_a_change_wakes_all_threads_that_wait() -> None:
    state = ClusterState(make_roles(1), lease_seconds=1e9)
    coordinator = Coordinator(state, "token", "127.0.0.1", "127.0.0.1")
    seen = []

    def wait() -> None:
        seen.append(coordinator.wait_for(lambda state: bool(state.failures), timeout=60.0))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    coordinator.fail(Failure("MainError", "main raised", "chief:0"))
    for thread in threads:
        thread.join()
    coordinator.close()
    assert seen == [True] * 3
