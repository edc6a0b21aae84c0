"""Assigns GPUs to nodes: pure functions of what all launch tasks have found.

Every task computes the same from the same findings, so no two nodes of a host take the same GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorsparkml.errors import NotEnoughGpusError
from tensorsparkml.roles import EVALUATOR, PARAMETER_SERVER

VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
_WITHOUT_GPUS = (PARAMETER_SERVER, EVALUATOR)


@dataclass(frozen=True)
class GpuFindings:
    """What a launch task has found out about GPUs.

    Attributes:
        assigned: Addresses that Spark has assigned to the task, or None if it schedules no GPUs.
        restricted: What `CUDA_VISIBLE_DEVICES` of the executor names, or None where it is not set.
        present: What the GPU's driver library names, that with most free memory first; empty where
            it was not asked.
    """

    assigned: tuple[str, ...] | None = None
    restricted: tuple[str, ...] | None = None
    present: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Sequence[str] | None]) -> GpuFindings:
        """Return the findings that `dataclasses.asdict` and JSON have made lists of."""
        return cls(**{name: None if ids is None else tuple(ids) for name, ids in body.items()})  # type: ignore[arg-type]

    @property
    def candidates(self) -> tuple[str, ...]:
        """What the node may take where Spark assigns nothing, the best first."""
        return self.present if self.restricted is None else self.restricted


@dataclass(frozen=True)
class GpuNode:
    """A node that is to get its GPUs.

    Attributes:
        name: Its name in errors, such as `worker:1`.
        role: Its role.
        host: Address of its host.
        found: What its launch task has found.
    """

    name: str
    role: str
    host: str
    found: GpuFindings

    @property
    def takes_gpus(self) -> bool:
        """Whether the role computes on GPUs."""
        return takes_gpus(self.role)


def takes_gpus(role: str) -> bool:
    """Whether nodes of that role compute on GPUs."""
    return role not in _WITHOUT_GPUS


def visible_devices(text: str | None) -> tuple[str, ...] | None:
    """Return what a value of `CUDA_VISIBLE_DEVICES` names, or None where it is not set.

    CUDA ignores everything from the first name that is no device, such as -1.
    """
    if text is None:
        return None
    names: list[str] = []
    for name in map(str.strip, text.split(",")):
        if not name or name == "-1" or name == "NoDevFiles":
            break
        names.append(name)
    return tuple(names)


def by_free_memory(free_bytes: Mapping[str, int]) -> tuple[str, ...]:
    """Return GPUs by their free memory, most first; among equals in the given order."""
    return tuple(sorted(free_bytes, key=lambda gpu: -free_bytes[gpu]))


def assign_gpus(wanted: int | None, nodes: Sequence[GpuNode]) -> list[tuple[str, ...] | None]:
    """Return the GPUs of every node by rank; None where its environment is left as it is.

    Where Spark has assigned GPUs, a node takes these. Elsewhere the nodes of a host choose one
    after the other, by rank, from what is left: as many as are wanted, or an even share.

    Args:
        wanted: How many each node must have, or None for what Spark assigned and, where it
            assigns none, an even share of the host's.
        nodes: All nodes by rank.

    Raises:
        NotEnoughGpusError: A node cannot have so many as are wanted.
    """
    taken: dict[str, set[str]] = {}
    chosen: list[tuple[str, ...] | None] = []
    for node in nodes:
        found = node.found
        if not node.takes_gpus or wanted == 0:
            chosen.append(())
        elif found.assigned is not None:
            chosen.append(_of_assigned(wanted, node, found.assigned))
        elif wanted is None and (found.restricted is not None or not found.present):
            chosen.append(None)
        else:
            on_host = taken.setdefault(node.host, set())
            free = [gpu for gpu in found.candidates if gpu not in on_host]
            sharing = [
                other
                for other in nodes
                if other.host == node.host and other.takes_gpus and other.found.assigned is None
            ]
            share = len(found.candidates) // len(sharing) if wanted is None else wanted
            if wanted is not None and len(free) < wanted:
                raise _too_few_on_host(wanted, node, len(sharing))
            chosen.append(tuple(free[:share]))
            on_host.update(free[:share])
    return chosen


def gpu_environment(
    gpus: tuple[str, ...] | None, *, assigned_by_spark: bool, memory_growth: bool
) -> dict[str, str]:
    """Return the environment variables by which TensorFlow sees a node's GPUs.

    Args:
        gpus: What the node takes, or None to leave its environment as it is.
        assigned_by_spark: Whether the names are those of Spark's discovery script, which are
            usually the numbers that the driver counts; CUDA counts the fastest first unless told.
        memory_growth: Whether TensorFlow takes GPU memory only as it needs it.
    """
    environment = {} if gpus is None else {VISIBLE: ",".join(gpus)}
    if gpus and assigned_by_spark:
        environment[_ORDER] = "PCI_BUS_ID"
    if memory_growth:
        environment[_GROWTH] = "true"
    return environment


def _of_assigned(wanted: int | None, node: GpuNode, assigned: tuple[str, ...]) -> tuple[str, ...]:
    if wanted is not None and len(assigned) < wanted:
        raise NotEnoughGpusError(
            f"gpus={wanted}, but Spark has assigned {_count(len(assigned))} to the node's task on "
            f"{node.host}; set spark.task.resource.gpu.amount (and with it "
            "spark.executor.resource.gpu.amount) to that many, or lower gpus",
            node=node.name,
        )
    return assigned[:wanted]


def _too_few_on_host(wanted: int, node: GpuNode, sharing: int) -> NotEnoughGpusError:
    found = node.found
    if found.restricted is not None:
        has = f"{VISIBLE} of the executor names {_count(len(found.restricted))}"
    elif found.present:
        has = f"it has {_count(len(found.present))}"
    else:
        has = "no GPU was found there (no GPU, no driver, or the package nvidia-ml-py is missing)"
    shared = f", for {sharing} nodes" if sharing > 1 else ""
    return NotEnoughGpusError(
        f"gpus={wanted}, but on {node.host} {has}{shared}; lower gpus, start fewer nodes on each "
        "host, or let Spark assign GPUs (spark.task.resource.gpu.amount)",
        node=node.name,
    )


def _count(gpus: int) -> str:
    return f"{gpus} GPU{'' if gpus == 1 else 's'}"
