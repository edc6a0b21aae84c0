"""One node, as its agent runs it: an event loop around the trainer, the spool and the driver."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, assert_never

import psutil

from tensorsparkml.control.processes import MARK, node_mark
from tensorsparkml.control.protocol.directives import (
    Directive,
    End,
    EndInference,
    Give,
    LastFeeds,
    Remove,
    Stop,
)
from tensorsparkml.control.protocol.events import (
    TRAINER_EVENTS,
    Dropped,
    Failed,
    Finished,
    Given,
    Started,
    Starving,
)
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.keys import DATASETS, FEEDER, of_node
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.pipe_frames import read_frame
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient, RpcServer, tcp_location, unix_location
from tensorsparkml.control.protocol.tf_config import node_environment
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import SpoolServer
from tensorsparkml.executor.agent.coordinator_link import DriverLink, make_conversations, try_port
from tensorsparkml.executor.agent.events import (
    DirectivesLost,
    DriverGone,
    EndAwaited,
    Event,
    ExecutorGone,
    MainBegan,
    MainFailed,
    TaskEnded,
    TrainerEnded,
)
from tensorsparkml.executor.agent.giving import give
from tensorsparkml.executor.agent.lifecycle import (
    Action,
    After,
    EndTraining,
    KillTrainer,
    Lifecycle,
    LookAtTrainer,
    RefuseInference,
    Report,
    ReportFailure,
)
from tensorsparkml.executor.agent.node_logs import NodeLogs
from tensorsparkml.executor.agent.output_log import NodeLog
from tensorsparkml.executor.agent.trainer_heartbeat import TrainerHeartbeat
from tensorsparkml.executor.agent.trainer_process import Trainer, trainer_environment
from tensorsparkml.executor.folders import NodeFolders
from tensorsparkml.executor.inference.partition_queue import InferenceDesk
from tensorsparkml.executor.inference.relay import InferenceRelay
from tensorsparkml.executor.launch.rendezvous import meet
from tensorsparkml.executor.launch.reserved_port import hold_port
from tensorsparkml.executor.process_tree import alive

logger = logging.getLogger(__name__)
_WATCH_SECONDS = 0.5  # between looks at the driver, the trainer and the executor's process


@dataclass(frozen=True)
class _TrainerExited:
    status: int


class Node:
    """Runs one node.

    Args:
        plan: The cluster.
        rank: Rank of the node.
        host: Address to listen on, under which the other nodes reach this one.
        executor: Process id of the executor's JVM and when it was started, or None if unknown.
        orders: The pipe from the launch task.
        umask: The file mode creation mask of the trainer.
    """

    def __init__(
        self,
        plan: ClusterPlan,
        rank: int,
        host: str,
        executor: int | None,
        orders: BinaryIO,
        umask: int,
    ) -> None:
        self.plan = plan
        self.rank = rank
        self._host = host
        self._orders = orders
        self._executor = psutil.Process(executor) if executor else None
        self._events: queue.SimpleQueue[Event | _TrainerExited] = queue.SimpleQueue()
        self._link = DriverLink(plan.lease_seconds, lambda: try_port(plan.coordinator))
        self._umask = umask
        self._folders = NodeFolders(plan, rank)
        self.log_dir = self._folders.log_dir
        self._log = NodeLog(self._folders.log)
        self._temporary = self._folders.make_temporary()
        self._spool = Spool(self._folders.spool)
        self._desk = InferenceDesk()
        self._relay = InferenceRelay(self._desk)
        self._server = SpoolServer(
            tcp_location(host),
            plan.keys.guard(FEEDER),
            self._spool,
            exchange=self._relay.serve_task,
        )
        self._held_port = hold_port(host)
        credentials = plan.keys.credentials(of_node(rank))
        self._client = RpcClient(plan.coordinator, credentials)
        self._lifecycle = Lifecycle(has_main=rank in plan.roles.with_main)
        self._training_ended = threading.Event()
        self._ended = threading.Event()

    def meet(self, found: Mapping[str, Any]) -> list[Any]:
        """Tell the other nodes where this one is and what its launch task has found.

        Returns:
            The same of all nodes, by rank; what a task has found instead of a node is a `failure`.

        Raises:
            ConnectionError: The coordinator cannot be reached.
        """
        role, index = self.plan.roles.nodes[self.rank]
        port = self._held_port.getsockname()[1]
        spool = str(self._spool.directory)
        address = Peer(self.rank, role, index, self._host, self._server.port, port, spool)
        value = {**found, "address": asdict(address)}
        return meet(self._client, self.plan, self.rank, value)

    def run(
        self,
        peers: list[Peer],
        resources: dict[str, str],
        main: bytes,
        on_started: Callable[[], None] = lambda: None,
    ) -> str | None:
        """Run the trainer to its end, and return why the driver counts as gone, or None.

        Args:
            peers: All nodes by rank.
            resources: Environment variables for what the node may use of its host.
            main: The pickled main function and its arguments.
            on_started: Called when the trainer runs, which from then on notices the agent's end.
        """
        self._peers = peers
        name = peers[self.rank].name
        socket_path = str(self._temporary / "agent")
        program_temporary = self._temporary / "tmp"
        program_temporary.mkdir(mode=0o700)
        self._trainer_heartbeat = TrainerHeartbeat()
        trainer_server = RpcServer(
            unix_location(socket_path),
            self.plan.keys.guard(of_node(self.rank)),
            {
                "window": self._on_window,
                "report": self._on_report,
                "begun": lambda body: self._spool.begun(**body),
                "beat": lambda _: self._trainer_heartbeat.heard(),
                "began": lambda _: self._events.put(MainBegan()),
                "take": self._relay.take,
                "training_ended": self._on_training_ended,
            },
            self._relay.serve_program,
        )
        self._mailbox, self._reporter = make_conversations(
            self.plan, self.rank, self._client, self._log, self._link, self._deliver
        )
        self._reporter.start()
        logs = NodeLogs(self.plan, self.rank, self.log_dir, self._host, self._reporter)
        self._trainer = Trainer(
            trainer_environment(
                {
                    **node_environment(peers, self.rank),
                    **resources,
                    "TMPDIR": str(program_temporary),
                    **self.plan.environment,
                    MARK: node_mark(self.plan.cluster_id, self.rank),
                }
            ),
            {
                "agent": unix_location(socket_path),
                "coordinator": self.plan.coordinator,
                "credentials": asdict(self.plan.keys.credentials(of_node(self.rank))),
                "datasets_key": self.plan.keys.token(DATASETS),
                "peers": [asdict(peer) for peer in peers],
                "rank": self.rank,
                "agent_process": os.getpid(),
                "lease_seconds": self.plan.lease_seconds,
                "readers": self.plan.roles.readers,
                "serves": self.rank not in self.plan.roles.with_main,
                "default_fs": self.plan.default_fs,
                "working_dir": self.plan.working_dir,
                "log_dir": str(self.log_dir),
                "spool_dir": str(self._spool.directory),
            },
            main,
            self._log,
            lambda status: self._events.put(_TrainerExited(status)),
            self._umask,
            logs.process_ids,
        )
        logger.info("%s: trainer runs as process %d", name, self._trainer.process_id)
        on_started()
        processes = os.getpid(), self._trainer.process_id
        self._reporter.send(Started(peers[self.rank], processes))
        self._start_thread("mailbox", self._receive)
        self._start_thread("orders", self._watch_orders)
        self._start_thread("watch", self._watch)
        while not self._lifecycle.over:
            event = self._events.get()
            if isinstance(event, _TrainerExited):
                explanation = self._trainer.explain_exit(event.status)
                event = TrainerEnded(explanation, self._executor_lost())
            for action in self._lifecycle.handle(event):
                self._perform(action)
        logs.close()  # while the reporter still shows the driver that this agent lives
        self._mailbox.stop()
        self._reporter.finish()
        self._ended.set()
        self._spool.close()
        trainer_server.shutdown()
        return self._link.gone

    def close(self) -> None:
        """Give up ports and files."""
        self._server.shutdown()
        self._held_port.close()
        self._folders.remove()

    # What the lifecycle decides

    def _perform(self, action: Action) -> None:
        match action:
            case Report(event):
                self._reporter.send(event)
            case ReportFailure(failure):
                self._report_failure(failure)
            case After(seconds, event):
                self._after(seconds, event)
            case EndTraining():
                self._training_ended.set()
                self._trainer.allow_exit()
            case RefuseInference(reason):
                self._desk.close(reason)
            case LookAtTrainer():
                self._look_at_trainer(at_stop=True)
            case KillTrainer():
                self._trainer.kill()
            case _:
                assert_never(action)

    def _after(self, seconds: float, event: Event) -> None:
        timer = threading.Timer(seconds, self._events.put, [event])
        timer.daemon = True
        timer.start()

    def _report_failure(self, failure: Failure) -> None:
        named = replace(failure, node=self._peers[self.rank].name, log_tail=self._log.tail())
        self._reporter.send(Failed(named))

    # Calls of the trainer

    def _on_report(self, body: dict[str, Any]) -> None:
        """Pass on an event of the trainer."""
        match event := TRAINER_EVENTS.decode(body):
            case Failed(failure):
                self._events.put(MainFailed(failure))
            case Finished():
                self._events.put(event)
            case _:
                if isinstance(event, Dropped):
                    self._spool.forget(event.feed, event.rows)
                self._reporter.send(event)

    def _on_window(self, body: dict[str, Any]) -> dict[str, Any]:
        feed, segments, held_by_all = body["feed"], body["segments"], body["held_by_all"]
        if self._spool.starves(feed, segments, held_by_all):
            self._reporter.send(Starving(feed, segments))
        return self._spool.window(feed, segments, held_by_all, body["wait_seconds"])

    def _on_training_ended(self, body: dict[str, Any]) -> dict[str, Any]:
        """Say whether training has ended; who asks returns by itself when it has."""
        self._events.put(EndAwaited())
        return {"ended": self._training_ended.wait(body["wait_seconds"])}

    # Directives

    def _receive(self) -> None:
        try:
            self._mailbox.run()
        except Exception as error:  # deaf to the driver, the node can only end
            logger.exception("a directive cannot be carried out")
            self._events.put(DirectivesLost(f"the agent cannot carry out a directive: {error!r}"))

    def _deliver(self, directive: Directive) -> None:
        match directive:
            case Give():
                self._start_thread("give", lambda: self._give(directive))
            case Remove():
                self._spool.apply(directive)
                self._start_thread("remove", lambda: self._spool.delete(directive.feed))
            case LastFeeds(feeds):
                self._spool.last_feeds(feeds)
            case EndInference():
                self._desk.end("the driver has left the with block of the cluster")
            case End() | Stop():
                self._events.put(directive)
            case _:
                self._spool.apply(directive)

    def _give(self, directive: Give) -> None:
        credentials = self.plan.keys.credentials(FEEDER)
        failure = give(directive, self._peers[directive.target], self._spool, credentials)
        if failure is not None:
            self._report_failure(failure)
        else:
            self._reporter.send(Given(directive.feed, directive.segment))

    # Threads that watch

    def _watch(self) -> None:
        executor_lost = False
        while not self._ended.wait(_WATCH_SECONDS):
            self._trainer.sample_memory()
            if not executor_lost and self._executor_lost():
                executor_lost = True
                self._events.put(ExecutorGone())
            self._link.look()
            if (reason := self._link.gone) is not None:
                self._events.put(DriverGone(reason))
            self._look_at_trainer(at_stop=False)

    def _look_at_trainer(self, *, at_stop: bool) -> None:
        for event in self._trainer_heartbeat.look(self._trainer.process_id, at_stop=at_stop):
            self._reporter.send(event)

    def _watch_orders(self) -> None:
        released = read_frame(self._orders) is not None
        if not released and self._executor is not None:
            # Its worker dies with the executor, a moment before the JVM itself is seen to be gone.
            with suppress(psutil.TimeoutExpired):
                self._executor.wait(timeout=1.0)
        self._events.put(TaskEnded(released, self._executor_lost()))

    def _executor_lost(self) -> bool:
        return self._executor is not None and not alive(self._executor)

    def _start_thread(self, name: str, target: Any) -> None:
        threading.Thread(target=target, name=name, daemon=True).start()
