"""The cluster's state machine: events in, directives to nodes out. No sockets and no clocks.

Times are seconds of any monotonic clock; the caller passes `now`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from tensorsparkml.control.coordinator.joint_calls import JointCalls
from tensorsparkml.control.coordinator.node_silence import NodeSilence, Warned
from tensorsparkml.control.coordinator.root_cause import HUNG
from tensorsparkml.control.feeds.feed_ledger import Addressed, FeedLedger
from tensorsparkml.control.protocol.directives import Directive, End, Stop
from tensorsparkml.control.protocol.events import EpochEnded
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.roles import Roles


class Phase(Enum):
    """What a node is doing."""

    PENDING = "pending"  # its agent has not called yet
    RUNNING = "running"  # its main runs
    FINISHED = "finished"  # its main has returned
    FAILED = "failed"


@dataclass
class Node:
    """What the coordinator knows of one node."""

    name: str
    peer: Peer | None = None
    phase: Phase = Phase.PENDING
    gone: bool = False
    lost: bool = False  # silent for longer than the timeout, and not heard since
    processes: tuple[int, ...] = ()  # ids of the agent and the trainer
    hung: tuple[float, str] | None = None  # since when the trainer is silent, and its state
    result: bytes | None = None
    awaited: bool = True


@dataclass(frozen=True)
class Tick:
    """What a moment of time has changed.

    Attributes:
        addressed: Directives to nodes.
        warnings: What to log about nodes, or about the driver.
        settled: Whether the root cause can be named now, and could not before.
    """

    addressed: Addressed = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    settled: bool = False


class ClusterState:
    """All nodes and feeds of one cluster.

    Training has ended when the mains that train have returned; then parameter servers, whom nobody
    waits for, end, and an evaluator may return.

    Args:
        roles: The nodes.
        lease_seconds: Heartbeat timeout: silence after which an agent counts as lost.
        settle_seconds: How long after a failure other nodes may still report theirs, before the
            root cause is chosen.
        cause_seconds: The same where only consequences are known so far.
    """

    def __init__(
        self,
        roles: Roles,
        lease_seconds: float,
        settle_seconds: float = 1.0,
        cause_seconds: float = 4.0,
    ) -> None:
        self.nodes = [
            Node(name, awaited=rank in roles.training) for rank, name in enumerate(roles.names)
        ]
        self._ranks = {name: rank for rank, name in enumerate(roles.names)}
        self._training = roles.training
        self._readers = self.nodes[: roles.readers]
        self._training_ended = False
        # Mains beside the training that have not asked for its end, and may still do so.
        self._undecided = set(roles.with_main) - set(roles.training)
        self.feeds: dict[str, FeedLedger] = {}
        self.failures: list[Failure] = []
        self._known: set[tuple[str, str | None, bool]] = set()  # kind, node, consequence
        self._hung: set[int] = set()  # nodes whose trainers are silent
        self.ending = False
        self.last_epoch: EpochEnded | None = None
        self.tensorboard_url: str | None = None
        self.tensorboard_known = False
        self._settle_seconds = settle_seconds
        self._cause_seconds = cause_seconds
        self._failed_at: float | None = None
        self._silence = NodeSilence(roles.names, lease_seconds)
        self._was_settled = False
        self.joint_calls = JointCalls(roles.names)

    # Nodes

    def started(self, rank: int, peer: Peer, processes: Sequence[int] = ()) -> None:
        """Record that a trainer runs, where, and the process ids of the agent and of it."""
        node = self.nodes[rank]
        node.peer, node.phase, node.processes = peer, Phase.RUNNING, tuple(processes)

    def heard(self, rank: int, now: float) -> None:
        """Record a sign of life of an agent."""
        self._silence.heard(rank, now)

    def trainer_silent(self, rank: int, seconds: float, state: str, now: float) -> None:
        """Record that a trainer has not responded for a while, and the state of its process."""
        self.nodes[rank].hung = (now - seconds, state)
        self._hung.add(rank)
        self._name_hung(now)

    def trainer_heard(self, rank: int) -> None:
        """Record that a trainer responds again."""
        self.nodes[rank].hung = None
        self._hung.discard(rank)

    def stored_bytes(self) -> tuple[int, ...]:
        """Return the size of the rows of all feeds on each node's disk, by rank."""
        stored = [0] * len(self.nodes)
        for ledger in self.feeds.values():
            for rank, size in enumerate(ledger.stored_bytes()):
                stored[rank] += size
        return tuple(stored)

    def epoch_ended(self, report: EpochEnded) -> None:
        """Record how an epoch went on a node."""
        self.last_epoch = report

    def tensorboard_at(self, url: str | None) -> None:
        """Record where TensorBoard serves, or that it has ended."""
        self.tensorboard_url = url
        self.tensorboard_known = True

    def finished(self, rank: int, result: bytes) -> Addressed:
        """Record a main's result; when training has ended with it, all trainers may exit."""
        node = self.nodes[rank]
        if node.lost:  # it was given up, and comes too late
            return []
        node.phase, node.result = Phase.FINISHED, result
        if self.failures:
            return []
        self._undecided.discard(rank)
        self.ending = self.all_finished
        if self.training_over and not self._training_ended:
            self._training_ended = True
            return self._to_all(End())
        begun = [directive for name in self.feeds for directive in self._decide(name)]
        return begun + self._clear()

    def awaits_end(self, rank: int) -> None:
        """Record that a main beside the training returns by itself once that has ended."""
        if rank in self._undecided:
            self._undecided.remove(rank)
            self.nodes[rank].awaited = True

    def unawaited(self, rank: int) -> None:
        """Record that a main beside the training has not asked for its end in time."""
        self._undecided.discard(rank)
        self.nodes[rank].awaited = False
        self.ending = not self.failures and self.all_finished

    def failed(self, failure: Failure, now: float) -> Addressed:
        """Record a failure of a node, of a feed, or of the launch; the first one stops all.

        Several processes may report the same one. Once training has ended, only the failure of a
        main that is still waited for matters.
        """
        ranks = [self._ranks[failure.node]] if failure.node in self._ranks else []
        if self.training_over:
            ranks = [rank for rank in ranks if self.nodes[rank].phase is not Phase.FINISHED]
            for rank in self._undecided.intersection(ranks):
                self.unawaited(rank)
            if not any(self.nodes[rank].awaited for rank in ranks):
                return []
        for rank in ranks:
            self.nodes[rank].phase = Phase.FAILED
        fact = failure.kind, failure.node, failure.consequence
        if self.ending or fact in self._known:
            return []
        self._known.add(fact)
        if failure.kind == "AgentLostError":
            failure = replace(failure, message=failure.message + self._silence.explain(now))
        self.failures.append(failure)
        self._name_hung(now)
        if self._failed_at is not None:
            return []
        self._failed_at = now
        return self._to_all(Stop(failure.message))

    def gone(self, rank: int) -> None:
        """Record that nothing of a node is left."""
        self.nodes[rank].gone = True
        self.nodes[rank].lost = False

    def tick(self, now: float) -> Tick:
        """Let time pass: fail the nodes whose agents have been silent for longer than the timeout.

        To be called several times a second, from one thread. Until all nodes have started, silence
        means nothing.
        """
        tick = Tick(warnings=self._silence.tick(now))
        if self.all_started:
            for rank, node in enumerate(self.nodes):
                if not (node.gone or node.lost):
                    warnings, lost = self._silence.look(rank, now)
                    tick.warnings.extend(warnings)
                    if lost is not None:
                        node.lost = True
                        failure = Failure("AgentLostError", lost, node.name)
                        tick.addressed.extend(self.failed(failure, now))
        returned, running = map(self._training_in, (Phase.FINISHED, Phase.RUNNING))
        if (alone := self.joint_calls.left_alone(returned, running)) is not None:
            tick.addressed.extend(self.failed(alone, now))
        elif (message := self.joint_calls.tell(returned, running, now)) is not None:
            tick.warnings.append((None, message))
        settled = self.settled(now) and not self._was_settled
        self._was_settled = self._was_settled or settled
        return replace(tick, settled=settled)

    def _training_in(self, phase: Phase) -> list[int]:
        return [rank for rank in self._training if self.nodes[rank].phase is phase]

    def _name_hung(self, now: float) -> None:
        """Add what explains consequences better than they do: trainers that do not respond."""
        if not self.failures or self.ending or not self._hung:
            return
        failed = {failure.node for failure in self.failures}
        for node in (self.nodes[rank] for rank in sorted(self._hung)):
            if node.hung is None or node.name in failed or node.phase is Phase.FINISHED:
                continue
            since, state = node.hung
            message = (
                f"the TensorFlow process has not responded for {now - since:.0f} s (state: "
                f"{state}), and other nodes wait for it; it was stopped (SIGSTOP, a debugger, a "
                "frozen container), or native code in it hangs. Look at the process and at the "
                "node's log"
            )
            self._known.add((HUNG, node.name, True))
            self.failures.append(Failure(HUNG, message, node.name, consequence=True))

    # Feeds

    def open_feed(self, ledger: FeedLedger) -> None:
        """Add a feed."""
        self.feeds[ledger.name] = ledger

    def consumed(self, rank: int, feed: str, progress: FeedProgress) -> Addressed:
        """Record how far a node has read a feed."""
        if feed not in self.feeds:
            return []
        self.feeds[feed].consumed(rank, progress)
        return self._decide(feed) + self._clear() if progress.terminated else []

    def given(self, feed: str, segment: str) -> Addressed:
        """Record that rows that one node has given another have arrived."""
        return self.feeds[feed].given(segment) + self._clear()

    def close_feed(self, feed: str) -> Addressed:
        """Take no more rows for a feed."""
        return self.feeds[feed].close() + self._clear()

    def begins_pass(self, rank: int, feed: str, number: int, whole: bool) -> Addressed:
        """Record that a node is about to begin a pass over a feed that is not all kept."""
        self.feeds[feed].ask(rank, number, whole)
        return self._decide(feed)

    def feed_done(self, name: str, passes: int) -> bool:
        """Whether every node has read the feed that often, needs no more of it, or has finished."""
        return self.training_over or all(
            node.phase is Phase.FINISHED or self.feeds[name].node_done(rank, passes)
            for rank, node in enumerate(self._readers)
        )

    def feed_unwanted(self, name: str) -> bool:
        """Whether no node needs another row of this delivery of the feed."""
        ledger = self.feeds[name]
        return (
            ledger.superseded
            or self.training_over
            or all(
                node.phase is Phase.FINISHED or ledger.terminated(rank)
                for rank, node in enumerate(self._readers)
            )
        )

    def _clear(self) -> Addressed:
        unwanted = [ledger for name, ledger in self.feeds.items() if self.feed_unwanted(name)]
        return [addressed for ledger in unwanted for addressed in ledger.remove()]

    def _decide(self, feed: str) -> Addressed:
        return self.feeds[feed].decide(
            rank for rank, node in enumerate(self._readers) if node.phase is not Phase.FINISHED
        )

    # Outcome

    @property
    def all_started(self) -> bool:
        """Whether every node's trainer runs, or has run."""
        return all(node.peer is not None for node in self.nodes)

    @property
    def readers(self) -> list[Peer]:
        """Where the nodes are that share the feeds, by rank."""
        return [node.peer for node in self._readers if node.peer is not None]

    @property
    def training_over(self) -> bool:
        """Whether every main that trains has returned."""
        return all(self.nodes[rank].phase is Phase.FINISHED for rank in self._training)

    @property
    def all_finished(self) -> bool:
        """Whether every main that is waited for has returned."""
        returned = all(node.phase is Phase.FINISHED for node in self.nodes if node.awaited)
        return returned and not self._undecided

    @property
    def all_gone(self) -> bool:
        """Whether nothing of any node that ever started is left, or will ever be heard of."""
        return all(node.gone or node.lost or node.peer is None for node in self.nodes)

    @property
    def all_confirmed(self) -> bool:
        """Whether every node that ever started has reported that nothing of it is left."""
        return all(node.gone or node.peer is None for node in self.nodes)

    def settled(self, now: float) -> bool:
        """Whether the root cause can be named: no further report is to be waited for."""
        if self._failed_at is None:
            return False
        known = any(not failure.consequence for failure in self.failures)
        wait = self._settle_seconds if known else self._cause_seconds
        return self.all_gone or now - self._failed_at >= wait

    def _to_all(self, directive: Directive) -> Addressed:
        return [(rank, directive) for rank in range(len(self.nodes))]
