"""The plan of a cluster, which every process gets when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from tensorsparkml.control.protocol import pace
from tensorsparkml.control.protocol.keys import Keys
from tensorsparkml.roles import Roles


@dataclass(frozen=True)
class ClusterPlan:
    """One cluster, as the driver decided it.

    Attributes:
        cluster_id: Names the cluster in paths and in Spark's job tags.
        keys: What the calls between its processes carry; in an agent, what that agent needs.
        coordinator: Flight location of the coordinator.
        roles: The nodes.
        launched: How many nodes Spark's launch tasks start: the first ones. The others run on the
            driver's host.
        hold: Whether launch tasks live as long as the nodes.
        direct_feed: Name of the feed that launch tasks deliver, or None.
        direct_limited: Whether they must wait for room before they deliver more of it.
        lease_seconds: Heartbeat timeout: silence after which agent and coordinator declare each
            other dead.
        version: Version of this library on the driver.
        python: Python version of the driver, such as `3.12`.
        packages: Import names that every executor must have.
        default_fs: Hadoop's default filesystem, such as `hdfs://nameservice`.
        working_dir: The driver's working directory.
        log_dir: Path or URI of the folder for node logs and event files, or None for one below the
            work folder.
        work_dir: Folder for spools and logs on each host, or None for the system's own.
        environment: Environment variables for the trainers.
        gpus: GPUs of each node that trains, or None for what is assigned.
        gpu_memory_growth: Whether TensorFlow takes memory of GPUs only as it needs it.
        tensorboard: Whether the chief's agent starts TensorBoard.
    """

    cluster_id: str
    keys: Keys
    coordinator: str
    roles: Roles
    launched: int
    hold: bool
    direct_feed: str | None
    direct_limited: bool
    lease_seconds: float
    version: str
    python: str
    packages: tuple[str, ...]
    default_fs: str
    working_dir: str
    log_dir: str | None
    work_dir: str | None
    environment: dict[str, str]
    gpus: int | None
    gpu_memory_growth: bool
    tensorboard: bool

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.roles.nodes)

    @property
    def heartbeat_seconds(self) -> float:
        """After how many seconds without news an agent reports that it lives; see `pace`."""
        return pace.heartbeat_seconds(self.nodes, self.lease_seconds)

    @property
    def lines_seconds(self) -> float:
        """For how long printed lines, and progress within a pass, wait for more; see `pace`."""
        return pace.lines_seconds(self.nodes, self.lease_seconds)

    def name(self, rank: int) -> str:
        """Return a node's name, such as `worker:1`."""
        return self.roles.names[rank]

    def for_agent(self, rank: int) -> ClusterPlan:
        """Return the plan for the agent of a node, without what only the driver needs to know."""
        return replace(self, keys=self.keys.only_of(rank))

    def encode(self) -> bytes:
        """Return the plan as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> ClusterPlan:
        """Return the plan that `encode` wrote."""
        body: dict[str, Any] = json.loads(data)
        roles = body["roles"]
        nodes = tuple((role, index) for role, index in roles["nodes"])
        body["roles"] = Roles(nodes, roles["readers"], tuple(roles["servers"]))
        body["keys"] = Keys(**body["keys"])
        body["packages"] = tuple(body["packages"])
        return cls(**body)
