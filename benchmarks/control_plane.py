"""The coordinator with up to 1,000 simulated nodes.

The coordinator is the real one, in this process. The nodes are in others, 25 in each: each
talks to it with the agents' code, over a connection of its own, and has no trainer
(`simulated_nodes.py`). Where commits are counted, each gives rows to one node, and all nodes have
received what follows from all of them.
"""

from __future__ import annotations

import json
import secrets
import select
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from typing import Any

import psutil

from benchmarks.report import AtLeast, Comparison, Limit, Series, Under, number, table
from benchmarks.session import Session
from tensorsparkml._version import __version__
from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.conditions import AllStarted
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import Keys
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.lifecycle.certificate import make_certificate
from tensorsparkml.driver.lifecycle.coordinator import Coordinator
from tensorsparkml.roles import make_roles

_NODES = (10, 100, 400, 1_000)
_NODES_PER_PROCESS = 25  # with more, threads that wait in one process cost more than their calls
_LEASE_SECONDS = 30.0
_START_SECONDS = 300.0
_ANSWER_SECONDS = 300.0  # which only a hang needs
_IDLE_SECONDS = 12.0
_COMMITS = 10  # for each node
_COMMITTING_SECONDS = 30.0  # at most
_FEED = "train"


@dataclass(frozen=True)
class Figures:
    """What one size of cluster gave.

    Attributes:
        nodes: Number of nodes.
        start: Seconds until all have met and started.
        idle: Cores that the coordinator's process used while nothing happened.
        heartbeat_median: Seconds that a node's heartbeat took.
        heartbeat_most: The same, of the slowest hundredth.
        commits: Commits per second over all nodes.
        close: Seconds to even out a feed and close it.
        failure: Seconds until a failure of one node had reached all.
        memory: Resident memory of the coordinator's process in MB.
    """

    nodes: int
    start: float
    idle: float
    heartbeat_median: float
    heartbeat_most: float
    commits: float
    close: float
    failure: float
    memory: float


_HEADER = [
    "nodes",
    "start, s",
    "idle, cores",
    "heartbeat, p50, s",
    "heartbeat, p99, s",
    "commits/s",
    "close, s",
    "failure, s",
    "memory, MB",
]


def start_coordinator(nodes: int) -> tuple[Coordinator, ClusterPlan]:
    """Return the coordinator of a simulated cluster, which listens, and the plan for its nodes."""
    roles = make_roles(nodes)
    certificate, private_key = make_certificate()
    keys = Keys(secrets.token_hex(32), {}, certificate, private_key)
    guard = keys.guard_of_coordinator()
    coordinator = Coordinator(ClusterState(roles, _LEASE_SECONDS), guard, "127.0.0.1", "127.0.0.1")
    plan = ClusterPlan(
        cluster_id="simulated",
        keys=keys,
        coordinator=coordinator.location,
        roles=roles,
        launched=nodes,
        hold=True,
        direct_feed=None,
        direct_limited=False,
        lease_seconds=_LEASE_SECONDS,
        version=__version__,
        python="",
        packages=(),
        default_fs="file:///",
        working_dir="/",
        log_dir=None,
        work_dir=None,
        environment={},
        gpus=None,
        gpu_memory_growth=False,
        tensorboard=False,
    )
    return coordinator, plan


class SimulatedCluster:
    """A coordinator, and processes with nodes."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.coordinator, plan = start_coordinator(nodes)
        processes = -(-nodes // _NODES_PER_PROCESS)
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.simulated_nodes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        self._ranks = [range(each, nodes, processes) for each in range(processes)]
        for process, ranks in zip(self._processes, self._ranks, strict=True):
            _write(process, f"{plan.encode().decode()}\n{json.dumps(list(ranks))}")
        for process in self._processes:
            _read(process)  # it is ready

    def ask_all(self, command: str) -> list[Any]:
        """Give all processes one command, and return their answers."""
        return self.ask(*[command] * len(self._processes))

    def ask(self, *commands: str) -> list[Any]:
        """Give each of the first processes a command, and return their answers."""
        asked = self._processes[: len(commands)]
        for process, command in zip(asked, commands, strict=True):
            _write(process, command)
        return [_read(process) for process in asked]

    def wait_for(self, kind: str, counts: list[int]) -> float:
        """Return when the nodes have received so many directives of a kind, by rank."""
        sums = [sum(counts[rank] for rank in ranks) for ranks in self._ranks]
        return float(max(self.ask(*(f"wait_for {kind} {count}" for count in sums))))

    def close(self) -> None:
        """End everything."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self.coordinator.close()


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> Any:
    """Return the answer, which is one line."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], _ANSWER_SECONDS)[0]:
        raise TimeoutError(f"simulated nodes have not answered for {_ANSWER_SECONDS:.0f} s")
    return json.loads(process.stdout.readline())


def measure(nodes: int) -> Figures:
    """Return the figures of one size of cluster."""
    cluster = SimulatedCluster(nodes)
    try:
        start = _measure_start(cluster)
        idle, heartbeats = _measure_idle(cluster)
        commits, close = _measure_feed(cluster)
        memory = psutil.Process().memory_info().rss / 1e6
        [began] = cluster.ask("fail 0")
        failure = cluster.wait_for("Stop", [1] * nodes) - began
    finally:
        cluster.close()
    slowest = statistics.quantiles(heartbeats, n=100)[-1]
    return Figures(
        nodes, start, idle, statistics.median(heartbeats), slowest, commits, close, failure, memory
    )


def _measure_start(cluster: SimulatedCluster) -> float:
    begin = time.monotonic()
    cluster.ask_all("start")
    if not cluster.coordinator.require(AllStarted(), _START_SECONDS):
        raise TimeoutError(f"{cluster.nodes} nodes have not started in {_START_SECONDS:.0f} s")
    return time.monotonic() - begin


def _measure_idle(cluster: SimulatedCluster) -> tuple[float, list[float]]:
    cluster.ask_all("heartbeats")
    used, begin = psutil.Process().cpu_times(), time.monotonic()
    time.sleep(_IDLE_SECONDS)
    heartbeats = [each for answer in cluster.ask_all("heartbeats") for each in answer]
    now, seconds = psutil.Process().cpu_times(), time.monotonic() - begin
    return (now.user + now.system - used.user - used.system) / seconds, heartbeats


def _measure_feed(cluster: SimulatedCluster) -> tuple[float, float]:
    nodes, coordinator = cluster.nodes, cluster.coordinator
    coordinator.open_feed(FeedLedger(_FEED, nodes))
    published, begin, total = [0] * nodes, time.monotonic(), 0
    while total < _COMMITS * nodes and time.monotonic() - begin < _COMMITTING_SECONDS:
        rank = total % nodes
        coordinator.commit(_commit(f"{total}", {rank: 100}))
        published[rank] += 1
        total += 1
    committed = cluster.wait_for("Publish", published)
    # Half of the nodes have something to give, the other half gets it.
    coordinator.commit(_commit("last", dict.fromkeys(range(nodes // 2), 2)))
    begin_close = time.monotonic()
    coordinator.close_feed(_FEED)
    closed = cluster.wait_for("Close", [1] * nodes)
    return total / (committed - begin), closed - begin_close


def _commit(key: str, rows: dict[int, int]) -> Commit:
    ranks, counts = tuple(rows), tuple(rows.values())
    sizes = tuple(100 * count for count in counts)
    return Commit(_FEED, key, f"segment-{key}", ranks, counts, sizes)


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Measure all sizes once, and compare the largest with what is wanted."""
    found = [measure(nodes) for nodes in _NODES]
    lines = [[number(getattr(each, field.name)) for field in fields(each)] for each in found]
    print(f"\n{table(_HEADER, lines)}")
    most = found[-1]
    wanted: list[tuple[str, str, float, Limit, float]] = [
        ("the coordinator while nothing happens", "cores", most.idle, Under(0.1, "cores"), 0.1),
        ("start", "s", most.start, Under(5), 5),
        ("commits", "commits/s", most.commits, AtLeast(1), 1_000),
        ("a failure reaches all", "s", most.failure, Under(2), 2),
        ("a feed is evened out and closed", "s", most.close, Under(5), 5),
        ("memory of the driver's Python", "MB", most.memory, Under(500, "MB"), 500),
    ]
    return [
        Comparison(
            what=f"{most.nodes:,} simulated nodes: {what}",
            against="the goal",
            ours=Series(unit, [value]),
            theirs=Series(unit, [goal]),
            limit=limit,
        )
        for what, unit, value, limit, goal in wanted
    ]
