"""The names and the order of a cluster's nodes in the old API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tensorsparkml.errors import ConfigurationError


@dataclass(frozen=True)
class NodeNames:
    """The nodes of a cluster by their old names and numbers.

    Attributes:
        nodes: Number of all nodes.
        ps: Number of parameter servers.
        master: The old job name of the chief, or None if there are only workers.
        evaluator: Whether there is an evaluator.
    """

    nodes: int
    ps: int = 0
    master: str | None = None
    evaluator: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.training < 1:
            raise ConfigurationError(
                f"num_executors={self.nodes} leaves no worker, given num_ps={self.ps}"
                f"{' and an evaluator' if self.evaluator else ''}; raise num_executors"
            )

    @property
    def training(self) -> int:
        """Number of nodes that train, the chief included."""
        return self.nodes - self.ps - self.evaluator

    def jobs(self) -> list[tuple[str, int, str]]:
        """Return job name, task index and new name of each node, by the old executor id."""
        found = [("ps", index, f"ps:{index}") for index in range(self.ps)]
        workers = [("worker", index, f"worker:{index}") for index in range(self.training - 1)]
        if self.master:
            found.append((self.master, 0, "chief:0"))
        else:
            workers = [("worker", 0, "chief:0")] + [
                ("worker", index + 1, name) for _, index, name in workers
            ]
        if self.evaluator:
            found.append(("evaluator", 0, "evaluator:0"))
        return found + workers

    def executor_id(self, name: str) -> int:
        """Return the old executor id of a node by its new name, such as `chief:0`."""
        return [new for _, _, new in self.jobs()].index(name)

    def cluster_spec(self, addresses: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the addresses of all nodes by job name, given the addresses by new name."""
        spec: dict[str, list[str]] = {}
        for job, _, name in self.jobs():
            spec.setdefault(job, []).append(addresses[name])
        return spec

    def cluster_info(self, addresses: Mapping[str, str], tb_port: int) -> list[dict[str, Any]]:
        """Return the old description of each node, by executor id.

        Args:
            addresses: Addresses by new name.
            tb_port: Port of TensorBoard beside the chief, or 0.
        """
        info = []
        for executor_id, (job, index, name) in enumerate(self.jobs()):
            host, _, port = addresses[name].rpartition(":")
            info.append(
                {
                    "executor_id": executor_id,
                    "host": host.strip("[]"),
                    "job_name": job,
                    "task_index": index,
                    "port": int(port),
                    "tb_pid": 0,
                    "tb_port": tb_port if name == "chief:0" else 0,
                }
            )
        return info
