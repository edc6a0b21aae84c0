"""Snapshots of the cluster's state, as plain data that does not change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tensorsparkml.control.coordinator.cluster_state import ClusterState, Phase
from tensorsparkml.control.protocol.events import EpochEnded
from tensorsparkml.control.protocol.peers import Peer


@dataclass(frozen=True)
class NodeSnapshot:
    """What is known of a node.

    Attributes:
        name: The node's name.
        phase: What it is doing.
        peer: Where it is, or None before it has started.
        processes: Process ids of its agent and its trainer, as far as known.
        gone: Whether it has reported that nothing of it is left.
    """

    name: str
    phase: Phase
    peer: Peer | None
    processes: tuple[int, ...]
    gone: bool


@dataclass(frozen=True)
class FeedCounts:
    """How far a feed is.

    Attributes:
        name: Name of the feed.
        fed: Rows on each node, by rank.
        read: Rows that each node's program has read, over all passes, by rank.
    """

    name: str
    fed: tuple[int, ...]
    read: tuple[int, ...]


@dataclass(frozen=True)
class ClusterSnapshot:
    """What is known of a cluster.

    Attributes:
        nodes: The nodes by rank.
        feeds: The feeds, in the order in which they were opened.
        spool_bytes: Size of the rows on each node's disk, by rank.
        epoch: The last epoch that a node has reported, or None.
        tensorboard_url: Where TensorBoard serves, or None.
    """

    nodes: tuple[NodeSnapshot, ...] = ()
    feeds: tuple[FeedCounts, ...] = ()
    spool_bytes: tuple[int, ...] = ()
    epoch: EpochEnded | None = None
    tensorboard_url: str | None = None

    @property
    def peers(self) -> list[Peer]:
        """Where the nodes are that have started, by rank."""
        return [node.peer for node in self.nodes if node.peer is not None]

    @property
    def finished(self) -> list[str]:
        """The names of the nodes whose mains have returned."""
        return [node.name for node in self.nodes if node.phase is Phase.FINISHED]

    def running(self, ranks: Collection[int]) -> list[str]:
        """Return the names of the nodes, of some, whose mains have neither returned nor failed."""
        nodes = [self.nodes[rank] for rank in ranks]
        return [node.name for node in nodes if node.phase is Phase.RUNNING and not node.gone]

    @property
    def unconfirmed(self) -> list[str]:
        """The nodes of which something may be left: name, host and processes."""
        return [
            f"{node.name} on {node.peer.host} (processes "
            f"{', '.join(map(str, node.processes)) or 'unknown'})"
            for node in self.nodes
            if node.peer is not None and not node.gone
        ]


def take_snapshot(state: ClusterState) -> ClusterSnapshot:
    """Return what is known now; costs as much as there are nodes, times feeds."""
    nodes = (
        NodeSnapshot(node.name, node.phase, node.peer, node.processes, node.gone)
        for node in state.nodes
    )
    feeds = (
        FeedCounts(name, tuple(ledger.rows), tuple(node.rows for node in ledger.progress))
        for name, ledger in state.feeds.items()
        if ledger.is_first
    )
    return ClusterSnapshot(
        tuple(nodes), tuple(feeds), state.stored_bytes(), state.last_epoch, state.tensorboard_url
    )
