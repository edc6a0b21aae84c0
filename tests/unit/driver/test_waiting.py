"""Threads of the driver that wait for the cluster's state."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.example_commits import commit_of
from tests.unit.example_keys import COORDINATOR, KEYS

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.conditions import AllStarted, AnyFailure
from tensorsparkml.control.coordinator.mailbox import Mailbox
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.keys import of_node
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.roles import make_roles

SECONDS = 60.0  # which only a hang needs


def test_ticks_and_heartbeats_that_change_nothing_wake_nobody() -> None:
    state = ClusterState(make_roles(1), lease_seconds=1e9)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    client = RpcClient(coordinator.location, KEYS.credentials(of_node(0)))
    looks = [0, 0, 0]

    def wait(thread: int) -> None:
        def until() -> bool:
            looks[thread] += 1
            return False

        assert not coordinator.wait_for(AllStarted(), timeout=1.0, until=until)

    threads = [threading.Thread(target=wait, args=(thread,)) for thread in range(len(looks))]
    for thread in threads:
        thread.start()
    for number in range(1, 21):
        report = {"rank": 0, "number": number, "received": 0, "events": []}
        client.call("report", report, timeout=SECONDS)
    for thread in threads:
        thread.join()
    client.close()
    coordinator.close()
    # At the beginning and in the end, where a wait may be a moment too short.
    assert max(looks) <= 3


@pytest.mark.parametrize("change", ["state", "elsewhere"])
def test_a_change_wakes_all_threads_that_wait(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr("tensorsparkml.driver.lifecycle.coordinator._TICK_SECONDS", 1e6)
    state = ClusterState(make_roles(1), lease_seconds=1e9)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    looked, happened = threading.Semaphore(0), threading.Event()

    def until() -> bool:
        looked.release()
        return happened.is_set()

    threads = [
        threading.Thread(target=coordinator.wait_for, args=(AnyFailure(), 1e6, until), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
        assert looked.acquire(timeout=SECONDS)
    if change == "state":
        coordinator.fail(Failure("MainError", "main raised", "chief:0"))
    else:
        happened.set()
        coordinator.wake()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    coordinator.close()


def test_a_directive_wakes_only_the_call_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, looked = 8, threading.Semaphore(0)
    looks: Counter[int] = Counter()
    original = Mailbox.has_news

    def has_news(mailbox: Mailbox, received: int) -> bool:
        looks[id(mailbox)] += 1
        looked.release()
        return original(mailbox, received)

    monkeypatch.setattr(Mailbox, "has_news", has_news)
    state = ClusterState(make_roles(nodes), lease_seconds=1e9)
    coordinator = Coordinator(state, COORDINATOR, "127.0.0.1", "127.0.0.1")
    coordinator.open_feed(FeedLedger("train", nodes))

    clients = [RpcClient(coordinator.location, KEYS.credentials(of_node(n))) for n in range(nodes)]

    def follow(rank: int) -> dict[str, Any]:
        body = {"rank": rank, "received": 1, "wait": SECONDS}  # it has the directive `Open`
        reply = next(clients[rank].stream("directives", body, timeout=SECONDS))
        [directive] = reply["directives"]
        return directive

    with ThreadPoolExecutor(nodes) as pool:
        first = [pool.submit(follow, rank) for rank in range(nodes)]
        for _ in range(2 * nodes):  # each looks twice before it waits
            assert looked.acquire(timeout=SECONDS)
        rows = tuple(rank == 3 for rank in range(nodes))
        coordinator.commit(commit_of("train", "0", "0", rows, rows))
        assert first[3].result()["kind"] == "Publish"
        for _ in range(3):  # once when it is woken, and twice before it waits again
            assert looked.acquire(timeout=SECONDS)
        assert sorted(looks.values()) == [2] * (nodes - 1) + [5]
        coordinator.stop("the test is over")
        assert [each.result()["kind"] for each in first].count("Stop") == nodes - 1
    coordinator.close()
    for client in clients:
        client.close()
