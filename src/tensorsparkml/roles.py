"""Roles of the nodes: which train, which serve, which read the feeds."""

from __future__ import annotations

from dataclasses import dataclass

CHIEF, WORKER, PARAMETER_SERVER, EVALUATOR = "chief", "worker", "ps", "evaluator"


@dataclass(frozen=True)
class Roles:
    """The nodes of a cluster by rank, and what each does.

    Nodes that read feeds come first, so a reader's rank is its index among the readers.

    Attributes:
        nodes: Role and task index of each node.
        readers: Number of nodes that share the feeds; these are the first ones.
        servers: Roles that run TensorFlow's server instead of main.
    """

    nodes: tuple[tuple[str, int], ...]
    readers: int
    servers: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the nodes, such as `worker:1`."""
        return [node_name(*node) for node in self.nodes]

    @property
    def with_main(self) -> list[int]:
        """Ranks of the nodes that run main."""
        return [rank for rank, (role, _) in enumerate(self.nodes) if role not in self.servers]

    @property
    def training(self) -> list[int]:
        """Ranks of the nodes that train: when their mains have returned, training has ended."""
        return [rank for rank in self.with_main if self.nodes[rank][0] in (CHIEF, WORKER)]


def make_roles(
    num_workers: int,
    num_ps: int = 0,
    evaluator: bool = False,
    between_graph: bool = False,
    main_on_ps: bool = False,
) -> Roles:
    """Return the roles of a cluster.

    With parameter servers, main runs on the chief alone, which dispatches steps to the workers. In
    between-graph replication, it runs on the chief and on all workers.

    Args:
        num_workers: Number of nodes that train, the chief included.
        num_ps: Number of parameter servers.
        evaluator: Whether there is an evaluator.
        between_graph: Whether workers run main even with parameter servers.
        main_on_ps: Whether the parameter servers run main too; nobody waits for it to return.
    """
    chief = [(CHIEF, 0)]
    workers = [(WORKER, index) for index in range(num_workers - 1)]
    others = [(EVALUATOR, 0)] if evaluator else []
    others += [(PARAMETER_SERVER, index) for index in range(num_ps)]
    if num_ps and not between_graph:
        servers = (WORKER, PARAMETER_SERVER)
        return Roles((*workers, *chief, *others), len(workers), servers)
    alone = () if main_on_ps else (PARAMETER_SERVER,)
    return Roles((*chief, *workers, *others), num_workers, alone)


def node_name(role: str, task_index: int) -> str:
    """Return a node's name in logs and errors, such as `worker:1`."""
    return f"{role}:{task_index}"
