"""The addresses of a node."""

from __future__ import annotations

from dataclasses import dataclass, field

from tensorsparkml.control.machine import machine_id
from tensorsparkml.roles import node_name


@dataclass(frozen=True)
class Peer:
    """Where a node is.

    Attributes:
        rank: Place of the node among all nodes, from 0.
        role: `chief`, `worker`, `ps` or `evaluator`.
        task_index: Place of the node among the nodes of its role, from 0.
        host: Address under which the other nodes reach it.
        data_port: Port of its agent's Flight server.
        tensorflow_port: Port that is held for its TensorFlow server.
        spool: Folder of its spool, on its host.
        machine: Id of its machine; by default, of this one.
    """

    rank: int
    role: str
    task_index: int
    host: str
    data_port: int
    tensorflow_port: int
    spool: str
    machine: str = field(default_factory=machine_id)

    @property
    def name(self) -> str:
        """The node's name in logs and errors, such as `worker:1`."""
        return node_name(self.role, self.task_index)
