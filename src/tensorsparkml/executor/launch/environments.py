"""The environment of each node, which the launch tasks agree on before nodes start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.errors import NotEnoughGpusError
from tensorsparkml.executor.launch.gpu_assignment import (
    VISIBLE,
    GpuFindings,
    GpuNode,
    assign_gpus,
    by_free_memory,
    gpu_environment,
    takes_gpus,
    visible_devices,
)
from tensorsparkml.executor.launch.gpu_discovery import free_gpu_memory


def find_gpus(plan: ClusterPlan, rank: int, assigned: Sequence[str] | None) -> dict[str, Any]:
    """Return, as JSON, the GPUs that a launch task can see; without a query where none is needed.

    Args:
        plan: The cluster.
        rank: Rank of the node, which is the index of the task.
        assigned: Addresses of the GPUs that Spark has assigned, or None if it schedules none.
    """
    if assigned is not None:
        return asdict(GpuFindings(assigned=tuple(assigned)))
    if plan.gpus == 0 or VISIBLE in plan.environment or not takes_gpus(plan.roles.nodes[rank][0]):
        return asdict(GpuFindings())
    restricted = visible_devices(os.environ.get(VISIBLE))
    present = by_free_memory(free_gpu_memory()) if restricted is None else ()
    return asdict(GpuFindings(restricted=restricted, present=present))


def node_resources(
    plan: ClusterPlan, rank: int, met: Sequence[Mapping[str, Any]]
) -> dict[str, str] | Failure:
    """Return the environment variables for a node's resources, or why the cluster cannot start.

    Args:
        plan: The cluster.
        rank: Rank of the node.
        met: What all launch tasks have found, by rank: `address` and `gpus`.
    """
    nodes = [
        GpuNode(
            plan.name(rank),
            role,
            content["address"]["host"],
            GpuFindings.from_json(content["gpus"]),
        )
        for rank, ((role, _), content) in enumerate(zip(plan.roles.nodes, met, strict=True))
    ]
    # What the user sets in `environment` wins, so nothing can be missing then.
    wanted = None if VISIBLE in plan.environment else plan.gpus
    try:
        chosen = assign_gpus(wanted, nodes)
    except NotEnoughGpusError as error:
        return Failure(type(error).__name__, error.message, node=error.node)
    return gpu_environment(
        chosen[rank],
        assigned_by_spark=nodes[rank].found.assigned is not None,
        memory_growth=plan.gpu_memory_growth,
    )
