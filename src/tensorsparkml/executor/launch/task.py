"""The barrier tasks of the launch job, which run on the executors.

A task checks its Python, starts the agent of its node, tells it where the others are, delivers its
partition where the feed is direct, and, unless slots are released, lives as long as the agent.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from tensorsparkml._version import __version__
from tensorsparkml.control.liveness.last_words import report_end
from tensorsparkml.control.protocol.codec import decode_fields
from tensorsparkml.control.protocol.events import EVENTS, Event, Failed
from tensorsparkml.control.protocol.failures import Failure, from_exception
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import FEEDER, of_node
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.data.spool.transport import NodeGoneError
from tensorsparkml.errors import FeedError, TensorSparkMLError
from tensorsparkml.executor.feeding.admission import wait_for_room
from tensorsparkml.executor.feeding.feeder import Feeder
from tensorsparkml.executor.launch.agent_handle import AgentProcess
from tensorsparkml.executor.launch.environments import find_gpus, node_resources
from tensorsparkml.executor.launch.rendezvous import meet
from tensorsparkml.storage import filesystem_of

_DIRECT_COMMIT_BYTES = 8 * 2**20
_COMMIT_SECONDS = 60.0  # also where the driver does not run for a while


def find_problem(plan: ClusterPlan) -> Failure | None:
    """Return what this executor's Python lacks, or None."""
    where = f"{sys.executable} on {os.uname().nodename}"
    if __version__ != plan.version:
        return Failure(
            "VersionMismatchError",
            f"the driver has tensorsparkml {plan.version}, but {where} has {__version__}; "
            "install the same version on both (or point PYSPARK_PYTHON at the right Python)",
        )
    python = ".".join(map(str, sys.version_info[:2]))
    if python != plan.python:
        return Failure(
            "VersionMismatchError",
            f"the driver runs Python {plan.python}, but {where} is Python {python}; "
            "set PYSPARK_PYTHON to the same minor version",
        )
    missing = [name for name in plan.packages if not _importable(name)]
    if missing:
        return Failure(
            "MissingPackageError",
            f"{where} lacks {', '.join(missing)}; install it on every executor, ship it with "
            "spark.archives, or point PYSPARK_PYTHON at the Python that has it",
        )
    try:
        filesystem_of(plan.log_dir or os.curdir)
    except TensorSparkMLError as error:
        return Failure(type(error).__name__, f"log_dir on {where}: {error.message}")
    return None


class _UnwantedError(Exception):
    """No node needs another row."""


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # a parent package is missing
        return False


def run_task(
    plan: ClusterPlan,
    main: bytes,
    rank: int,
    host: str,
    gpus: Sequence[str] | None,
    batches: Iterator[pa.RecordBatch],
) -> Failure | None:
    """Run one launch task and return why the nodes could not be started, or None.

    Args:
        plan: The cluster.
        main: The pickled main function and its arguments.
        rank: Rank of the node, which is the index of the task.
        host: Address of this executor as Spark knows it.
        gpus: Addresses of the GPUs that Spark has assigned, or None if it schedules none.
        batches: The task's partition, which is the node's to deliver when the feed is direct.
    """
    agent = _start_agent(plan, rank, host)
    if isinstance(agent, Failure):
        return first_failure(plan, _meet_alone(plan, rank, {"failure": asdict(agent)}))
    try:
        met = agent.meet({"gpus": find_gpus(plan, rank, gpus)})
    except ConnectionError:
        agent.dismiss()
        raise
    environment = first_failure(plan, met) or node_resources(plan, rank, met)
    if isinstance(environment, Failure):
        agent.dismiss()
        return environment
    peers = [Peer(**content["address"]) for content in met]
    agent.tell(json.dumps(environment).encode())
    agent.tell(main)
    if plan.direct_feed is not None:
        _feed_directly(plan, plan.direct_feed, rank, peers, batches)
    # From when the trainer runs, it is the one that notices the end of an agent that is released.
    if not plan.hold and agent.started():
        agent.tell(b"released")
    elif (ended := agent.wait()) is not None:
        _report_lost_agent(plan, peers[rank], ended)
    return None


def _start_agent(plan: ClusterPlan, rank: int, host: str) -> AgentProcess | Failure:
    """Return the agent, which listens, or why there is none."""
    failure = find_problem(plan)
    if failure is not None:
        return failure
    try:
        agent = AgentProcess(plan, rank, host)
    except TensorSparkMLError as error:
        where = f"on {os.uname().nodename}"
        return Failure(type(error).__name__, f"{where}: {error.message}")
    if not agent.listens():
        return Failure("LaunchError", f"the agent did not start: {agent.wait()}")
    return agent


def _meet_alone(plan: ClusterPlan, rank: int, found: Mapping[str, Any]) -> list[Any]:
    """Meet the other nodes where there is no agent to do so."""
    client = RpcClient(plan.coordinator, plan.keys.credentials(of_node(rank)))
    try:
        return meet(client, plan, rank, found)
    finally:
        client.close()


def first_failure(plan: ClusterPlan, met: Sequence[Mapping[str, Any]]) -> Failure | None:
    """Return the failure of the lowest rank among what all tasks found, or None."""
    for rank, content in enumerate(met):
        if "failure" in content:
            failure = decode_fields(Failure, content["failure"])
            return replace(failure, node=plan.name(rank))
    return None


def _feed_directly(
    plan: ClusterPlan, feed: str, rank: int, peers: list[Peer], batches: Iterator[pa.RecordBatch]
) -> None:
    client = RpcClient(plan.coordinator, plan.keys.credentials(of_node(rank)))
    credentials = plan.keys.credentials(FEEDER)

    def commit(part: Commit) -> None:
        client.call("commit", asdict(part), timeout=_COMMIT_SECONDS)
        if plan.direct_limited and not wait_for_room(plan.coordinator, credentials, feed):
            raise _UnwantedError

    # Spark has spread the rows over these tasks already.
    readers = range(plan.roles.readers)
    chosen = [rank] if rank in readers else readers
    feeder = Feeder(
        credentials,
        peers[: len(readers)],
        feed,
        rank,
        0,
        commit,
        lambda *_: chosen,
        _DIRECT_COMMIT_BYTES,
    )
    try:
        with suppress(_UnwantedError):
            feeder.run(batches)
        client.call("fed", {"feed": feed}, timeout=_COMMIT_SECONDS)
    except FeedError as error:
        failure = from_exception(error, kind="FeedError", message=error.message)
        _report(plan, rank, Failed(failure))
    except (NodeGoneError, flight.FlightError):
        # An agent or the coordinator is gone. Who supervises them reports that; to fail here
        # as well would only hide it.
        pass
    finally:
        feeder.close()
        client.close()


def _report_lost_agent(plan: ClusterPlan, peer: Peer, ended: str) -> None:
    message = f"the agent, which supervises the node, is gone; {ended}"
    failure = Failure("AgentLostError", message, node=peer.name)
    credentials = plan.keys.credentials(of_node(peer.rank))
    report_end(plan.coordinator, credentials, peer.rank, failure, plan.lease_seconds)


def _report(plan: ClusterPlan, rank: int, event: Event) -> None:
    client = RpcClient(plan.coordinator, plan.keys.credentials(of_node(rank)))
    try:
        body = {"rank": rank, "events": [EVENTS.encode(event)]}
        client.call("report", body, timeout=_COMMIT_SECONDS)
    except flight.FlightError:
        pass  # the driver is gone too, so nobody is left to be told
    finally:
        client.close()
