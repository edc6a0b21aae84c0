"""The launch task's hold on the agent that it starts."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, cast

from tensorsparkml.control.processes import kill_marked, node_mark
from tensorsparkml.control.protocol.gathered import decode_gathered
from tensorsparkml.control.protocol.pipe_frames import write_frame
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.executor.agent.trainer_process import python_environment
from tensorsparkml.executor.folders import NodeFolders
from tensorsparkml.executor.process_tree import executor_process

_ERROR_BYTES = 4000  # of the end of what a failed agent printed


class AgentProcess:
    """A node's agent, started as a process in a session of its own, so that it can outlive Spark's.

    Args:
        plan: The cluster.
        rank: Rank of the node.
        host: Address of this executor as Spark knows it.

    Raises:
        ConfigurationError: A folder that it needs cannot be made, or is not this user's alone.
    """

    def __init__(self, plan: ClusterPlan, rank: int, host: str) -> None:
        self._mark = node_mark(plan.cluster_id, rank)
        folders = NodeFolders(plan, rank)
        claim = folders.claim()
        try:
            self._log = folders.open_agent_log()
            self._log_start = self._log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tensorsparkml.executor.agent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=python_environment(),
                start_new_session=True,
                pass_fds=[claim],  # the cluster's folder is in use for as long as it lives
            )
        finally:
            os.close(claim)
        executor = executor_process(os.getpid())
        self.tell(
            json.dumps(
                {
                    "plan": base64.b64encode(plan.for_agent(rank).encode()).decode(),
                    "rank": rank,
                    "host": host,
                    "executor": executor and executor.pid,
                }
            ).encode()
        )

    def listens(self) -> bool:
        """Wait until the agent listens; False if it ended instead."""
        return bool(self._answer())

    def meet(self, found: Mapping[str, Any]) -> list[Any]:
        """Let the agent add its addresses, meet the other nodes, and return what all have found.

        Raises:
            ConnectionError: It cannot reach the coordinator.
            ChildProcessError: It ended instead.
        """
        self.tell(json.dumps(found).encode())
        answer = json.loads(self._answer() or b"{}")
        if "unreachable" in answer:
            raise ConnectionError(answer["unreachable"])
        if "met" not in answer:
            raise ChildProcessError(f"the agent did not meet the other nodes: {self.wait()}")
        return decode_gathered(answer["met"])

    def started(self) -> bool:
        """Wait until the trainer runs; False if the agent ended instead."""
        return bool(self._answer())

    def _answer(self) -> bytes:
        return cast(BinaryIO, self._process.stdout).readline()

    def tell(self, message: bytes) -> None:
        """Send a message; one that does not arrive is explained by the agent's end."""
        with suppress(BrokenPipeError):
            write_frame(cast(BinaryIO, self._process.stdin), message)

    def dismiss(self) -> None:
        """Close the pipe to an agent that was not told the others, and wait for its end."""
        self._close_pipe()
        self.wait()

    def wait(self) -> str | None:
        """Wait for the agent's end and return None if it was in order, else what is known."""
        status = self._process.wait()
        self._close_pipe()
        cast(BinaryIO, self._process.stdout).close()
        with self._log:
            if status == 0:
                return None
            text = self._last_lines()
        kill_marked(self._mark)  # its trainer, and what that has started
        return f"it ended with exit status {status}" + (f":\n{text}" if text else "")

    def _last_lines(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        start = self._log_start if self._log_start <= size else 0  # older lines were dropped
        self._log.seek(max(start, size - _ERROR_BYTES))
        return self._log.read().decode("utf-8", "replace").strip()

    def _close_pipe(self) -> None:
        with suppress(BrokenPipeError):
            cast(BinaryIO, self._process.stdin).close()
