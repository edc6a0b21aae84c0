"""The launch task's hold on the agent that it starts."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Any, BinaryIO, cast

from tensorsparkml.control.frames import write_frame
from tensorsparkml.control.plan import ClusterPlan
from tensorsparkml.executor.process_tree import executor_process
from tensorsparkml.executor.supervisor import python_environment

_ERROR_BYTES = 4000  # of the end of what a failed agent printed


class AgentProcess:
    """A node's agent, started as a process in a session of its own, so that it can outlive Spark's.

    Args:
        plan: The cluster.
        rank: Rank of the node.
        host: Address of this executor as Spark knows it.
    """

    def __init__(self, plan: ClusterPlan, rank: int, host: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (read after the process has ended)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tensorsparkml.executor.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=python_environment(),
            start_new_session=True,
        )
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

    def address(self) -> dict[str, Any] | None:
        """Wait for the agent to say where it is; None if it ended instead."""
        answer = cast(BinaryIO, self._process.stdout).readline()
        address: dict[str, Any] | None = json.loads(answer) if answer else None
        return address

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
        with self._errors:
            if status == 0:
                return None
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - _ERROR_BYTES))
            text = self._errors.read().decode("utf-8", "replace").strip()
        return f"it ended with exit status {status}" + (f":\n{text}" if text else "")

    def _close_pipe(self) -> None:
        with suppress(BrokenPipeError):
            cast(BinaryIO, self._process.stdin).close()
