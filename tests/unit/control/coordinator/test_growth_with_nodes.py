"""What a cluster's life costs the coordinator, in directives and wake-ups: linear in the nodes.

The state machine, the feed's account and the mailboxes are the real ones. Nodes acknowledge what
they get, and time passes when the test says so.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field

import pytest
from tests.unit.example_commits import commit_of

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.event_handling import apply_event
from tensorsparkml.control.coordinator.mailbox import Mailbox
from tensorsparkml.control.feeds.feed_ledger import Addressed, FeedLedger
from tensorsparkml.control.protocol.directives import Give
from tensorsparkml.control.protocol.events import (
    Failed,
    Finished,
    Given,
    Progress,
    Started,
    StateEvent,
)
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.roles import make_roles

COMMITS = 3  # for each node


@dataclass
class Cluster:
    """Counts what the coordinator does."""

    nodes: int
    now: float = 0.0
    events: int = 0
    wakeups: int = 0
    directives: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.roles = make_roles(self.nodes)
        self.state = ClusterState(self.roles, lease_seconds=30.0)
        self.mailboxes = [Mailbox() for _ in range(self.nodes)]
        self.received = [0] * self.nodes

    def report(self, rank: int, event: StateEvent) -> None:
        """Let a node report an event."""
        self.events += 1
        self.send(apply_event(self.state, rank, event, self.now))

    def send(self, addressed: Addressed) -> None:
        """Wake the nodes that get directives, and let them take these and report what follows."""
        for rank, directive in addressed:
            self.directives[type(directive).__name__] += 1
            self.mailboxes[rank].put(directive)
        woken = {rank for rank, _ in addressed}
        self.wakeups += len(woken)
        for rank in woken:
            mailbox = self.mailboxes[rank]
            taken = mailbox.after(self.received[rank])
            self.received[rank] += len(taken)
            mailbox.acknowledge(self.received[rank])
            for directive in taken:
                if isinstance(directive, Give):
                    self.report(rank, Given(directive.feed, directive.segment))

    def commit(self, number: int, rows: dict[int, int]) -> None:
        """Give some nodes rows of the feed."""
        each = tuple(rows.get(rank, 0) for rank in range(self.nodes))
        self.events += 1
        self.send(
            self.state.feeds["train"].commit(commit_of("train", str(number), "s", each, each))
        )

    def start(self) -> None:
        """Start all nodes."""
        for rank, (role, index) in enumerate(self.roles.nodes):
            self.report(rank, Started(Peer(rank, role, index, "h", 1, 2, "/s")))
        assert self.state.all_started

    def train(self) -> None:
        """Feed all nodes, unevenly, and let them read it and return."""
        ledger = FeedLedger("train", self.nodes)
        self.state.open_feed(ledger)
        self.send(ledger.open())
        for number in range(COMMITS * self.nodes):
            self.commit(number, {number % self.nodes: 3})
        self.commit(COMMITS * self.nodes, dict.fromkeys(range(self.nodes // 2), 2))
        self.send(self.state.close_feed("train"))
        assert ledger.closed and len(set(ledger.rows)) == 1
        for rank in range(self.nodes):
            self.report(rank, Progress("train", FeedProgress(1, 10, True)))
        for rank in range(self.nodes):
            self.report(rank, Finished(base64.b64encode(b"1").decode()))
        assert self.state.all_finished


@pytest.mark.parametrize("nodes", [10, 100, 300])
def test_directives_and_wakeups_of_a_run_grow_with_the_nodes(nodes: int) -> None:
    cluster = Cluster(nodes)
    cluster.start()
    assert cluster.wakeups == 0
    cluster.train()
    assert cluster.directives == {
        "Open": nodes,
        "Publish": nodes * COMMITS + 2 * (nodes // 2),  # of the last commit, and what was given
        "Release": nodes * COMMITS,
        "Give": nodes // 2,
        "Close": nodes,
        "Remove": nodes,
        "End": nodes,
    }
    assert cluster.wakeups <= cluster.directives.total()
    assert [len(mailbox) for mailbox in cluster.mailboxes] == [0] * nodes


@pytest.mark.parametrize("nodes", [10, 300])
def test_failures_of_all_nodes_stop_each_once(nodes: int) -> None:
    cluster = Cluster(nodes)
    cluster.start()
    for rank, name in enumerate(cluster.roles.names):
        failure = Failure("MainError", "main raised", name, consequence=rank > 0)
        cluster.report(rank, Failed(failure))
        cluster.report(rank, Failed(failure))
    assert cluster.directives == {"Stop": nodes}
    assert cluster.wakeups == nodes
    assert len(cluster.state.failures) == nodes


@pytest.mark.parametrize("nodes", [10, 300])
def test_time_and_polls_without_news_wake_nobody(nodes: int) -> None:
    cluster = Cluster(nodes)
    cluster.start()
    for cluster.now in range(20):
        for rank in range(nodes):
            cluster.state.heard(rank, cluster.now)
        tick = cluster.state.tick(cluster.now)
        assert not tick.addressed and not tick.warnings
    assert cluster.wakeups == 0
