"""The trainer's watch over its agent: a node whose agent is gone, or hangs, ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from typing import NoReturn

from tensorsparkml.control.liveness.heartbeat import Heartbeat, News
from tensorsparkml.control.liveness.last_words import report_end
from tensorsparkml.control.processes import kill_descendants, kill_marked
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.context import Settings

logger = logging.getLogger(__name__)
_BEAT_SECONDS = 1.0  # between two signs of life
_LOOK_SECONDS = 0.5


def watch_agent(agent: AgentClient, node: Settings, mark: str) -> None:
    """Give signs of life to the agent forever, and end both processes if it does not answer.

    Whether the driver hears the agent does not matter: with an agent that hangs, nobody else on
    this host could end the node.

    Args:
        agent: The agent.
        node: This node.
        mark: Marks what main has started.
    """
    heartbeat, lock = Heartbeat(node.lease_seconds), threading.Lock()

    def beat() -> None:
        while True:
            if agent.beat():
                with lock:
                    heartbeat.heard(time.monotonic())
            time.sleep(_BEAT_SECONDS)

    threading.Thread(target=beat, name="beats", daemon=True).start()
    while True:
        with lock:
            look = heartbeat.look(time.monotonic())
        if look.news is News.LOST:
            if os.getppid() == node.agent_process:  # else it is gone, and its id may be another's
                with suppress(ProcessLookupError):
                    os.kill(node.agent_process, signal.SIGKILL)
            end_with_agent(
                node,
                mark,
                f"has not responded for {look.silence:.1f} s "
                f"(lease_seconds={node.lease_seconds:g}), and was killed",
            )
        time.sleep(_LOOK_SECONDS)


def end_with_agent(node: Settings, mark: str, what: str) -> NoReturn:
    """Tell the driver what nobody else on this host can tell any more, and kill this process.

    Args:
        node: This node.
        mark: Marks what main has started, which ends too.
        what: What has happened to the agent.
    """
    name = node.peers[node.rank].name
    failure = Failure("AgentLostError", f"the agent, which supervises the node, {what}", node=name)

    def end_all() -> None:
        kill_descendants()
        kill_marked(mark)

    try:
        report_end(
            node.coordinator, node.credentials, node.rank, failure, node.lease_seconds, end_all
        )
    finally:
        os.killpg(0, signal.SIGKILL)
        raise SystemExit  # not reached
