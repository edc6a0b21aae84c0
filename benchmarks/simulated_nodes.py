"""Many simulated nodes in one process: the agents' real calls to a coordinator, without trainers.

The first line on standard input is the plan of the cluster, the second one the ranks. Each further
line is a command, which is answered by one line of JSON on standard output.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tensorsparkml.control.liveness.driver_watch import Reach
from tensorsparkml.control.protocol.directives import Directive, Give
from tensorsparkml.control.protocol.events import Failed, Given, Started
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.keys import of_node
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.executor.agent.coordinator_link import DriverLink, make_conversations
from tensorsparkml.executor.agent.output_log import NodeLog
from tensorsparkml.executor.launch.gpu_assignment import GpuFindings
from tensorsparkml.executor.launch.rendezvous import meet


class Received:
    """Counts what all nodes of this process have received."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._directives: Counter[str] = Counter()
        self._heartbeats: list[float] = []

    def directive(self, directive: Directive) -> None:
        """Count a directive."""
        with self._changed:
            self._directives[type(directive).__name__] += 1
            self._changed.notify_all()

    def heartbeat(self, seconds: float) -> None:
        """Record how long a heartbeat took."""
        with self._changed:
            self._heartbeats.append(seconds)

    def take_heartbeats(self) -> list[float]:
        """Return what `heartbeat` has recorded since the last call."""
        with self._changed:
            heartbeats, self._heartbeats = self._heartbeats, []
            return heartbeats

    def wait_for(self, kind: str, count: int) -> float:
        """Wait until so many directives of a kind have arrived, and return the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._directives[kind] >= count)
            return time.monotonic()


class TimedClient(RpcClient):
    """Measures how long heartbeats take."""

    received: Received

    def call(
        self, name: str, body: Mapping[str, Any] | None = None, *, timeout: float | None
    ) -> Any:
        """Call an action and return its reply."""
        begin = time.monotonic()
        reply = super().call(name, body, timeout=timeout)
        if name == "report" and body is not None and not body["events"]:
            self.received.heartbeat(time.monotonic() - begin)
        return reply


class SimulatedNode:
    """One node, without a trainer: its rows move as soon as they are to."""

    def __init__(self, plan: ClusterPlan, rank: int, folder: Path, received: Received) -> None:
        self._plan = plan
        self._rank = rank
        self._received = received
        link = DriverLink(plan.lease_seconds, lambda: Reach.ACCEPTED)
        log = NodeLog(folder / f"{rank}.log")
        self._client = client = self._connect()
        self._mailbox, self.reporter = make_conversations(
            plan, rank, client, log, link, self._deliver
        )

    def run(self) -> None:
        """Do what launch task and agent do, until the process ends."""
        role, index = self._plan.roles.nodes[self._rank]
        spool = f"/tmp/tensorsparkml-1000/{self._plan.cluster_id}/{self._rank}/spool"
        peer = Peer(self._rank, role, index, "127.0.0.1", 40_000, 40_001, spool)
        gpus = asdict(GpuFindings())
        meet(self._client, self._plan, self._rank, {"gpus": gpus, "address": asdict(peer)})
        self.reporter.start()
        self.reporter.send(Started(peer, (1, 2)))
        self._mailbox.run()

    def _connect(self) -> TimedClient:
        client = TimedClient(
            self._plan.coordinator, self._plan.keys.credentials(of_node(self._rank))
        )
        client.received = self._received
        return client

    def _deliver(self, directive: Directive) -> None:
        if isinstance(directive, Give):
            self.reporter.send(Given(directive.feed, directive.segment))
        self._received.directive(directive)


def main() -> None:
    """Obey commands until standard input ends."""
    plan = ClusterPlan.decode(sys.stdin.readline().encode())
    ranks = json.loads(sys.stdin.readline())
    received = Received()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        nodes = {rank: SimulatedNode(plan, rank, Path(folder), received) for rank in ranks}
        _answer("ready")
        for line in sys.stdin:
            match line.split():
                case ["start"]:
                    for node in nodes.values():
                        threading.Thread(target=node.run, daemon=True).start()
                    _answer("starting")
                case ["heartbeats"]:
                    _answer(received.take_heartbeats())
                case ["wait_for", kind, count]:
                    _answer(received.wait_for(kind, int(count)))
                case ["fail", rank]:
                    failure = Failure("MainError", "main raised", plan.name(int(rank)))
                    begin = time.monotonic()
                    nodes[int(rank)].reporter.send(Failed(failure))
                    _answer(begin)


def _answer(value: Any) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
