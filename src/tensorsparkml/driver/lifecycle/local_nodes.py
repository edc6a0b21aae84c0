"""Nodes that run on the driver's host, outside of Spark's tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.executor.launch.task import run_task


def start_local_nodes(
    plan: ClusterPlan, main: bytes, host: str, on_failure: Callable[[Failure], None]
) -> list[threading.Thread]:
    """Start the nodes that no launch task starts, and return the threads that watch them.

    Args:
        plan: The cluster.
        main: The pickled main function and its arguments.
        host: Address of the driver as executors know it.
        on_failure: Called, from a thread, when a node could not be started.
    """
    held = replace(plan, hold=True)  # no task slot is to be given back

    def run(rank: int) -> None:
        try:
            failure = run_task(held, main, rank, host, [], iter(()))
        except OSError as error:
            failure = Failure("LaunchError", f"on the driver's host: {error}", plan.name(rank))
        if failure is not None:
            on_failure(failure)

    threads = []
    for rank in range(plan.launched, plan.nodes):
        threads.append(threading.Thread(target=run, args=(rank,), name=plan.name(rank)))
        threads[-1].start()
    return threads
