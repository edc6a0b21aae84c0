"""Runs a test module's function in real TensorFlow processes that form one cluster.

Run as a script, this file is the process: it imports the module, calls the function, pickles
what it returns. Only importing it (as the tests do) loads no TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[2] / "src"
FRESH_VARIABLES = ("TF_CONFIG", "PYTHONWARNINGS", "TF_USE_LEGACY_KERAS", "KERAS_BACKEND")


@dataclass(frozen=True)
class Node:
    """What a node's function is told about its place in the cluster."""

    index: int
    count: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0


@dataclass(frozen=True)
class Outcome:
    """How one process ended."""

    returncode: int
    value: Any
    error: str
    output: str
    seconds: float
    exit_seconds: float


def run_processes(
    function: Callable[..., Any],
    *,
    nodes: int = 2,
    timeout: float = 840.0,
    environment: dict[str, str] | None = None,
    check: bool = True,
    **arguments: Any,
) -> list[Outcome]:
    """Calls `function(node, **arguments)` in `nodes` fresh processes at once.

    Args:
        function: A module-level function of a test module.
        nodes: With one node no `TF_CONFIG` is set, as for a single-node cluster.
        timeout: Seconds after which the processes still running are killed.
        environment: Variables to set for the processes.
        check: Fail, with the processes' output, when one does not end with exit code 0.
        **arguments: Keyword arguments of the function; they are pickled.

    Returns:
        One outcome a node, in the order of their indices.
    """
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        held = [stack.enter_context(_held_port()) for _ in range(nodes)]
        addresses = [f"127.0.0.1:{port}" for port in held]
        started = time.monotonic()
        processes = []
        for index in range(nodes):
            call = Path(scratch, f"call-{index}")
            call.write_bytes(
                pickle.dumps((function.__code__.co_filename, function.__name__, arguments))
            )
            log = stack.enter_context(Path(scratch, f"log-{index}").open("wb"))
            process = subprocess.Popen(
                [sys.executable, __file__, str(call), str(index), str(nodes)],
                env=_environment(index, addresses) | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(_kill_group, process)
            processes.append(process)
        with ThreadPoolExecutor(nodes) as waiters:
            ended = list(waiters.map(lambda process: _end(process, started + timeout), processes))
        outcomes = []
        for index, process in enumerate(processes):
            result = Path(scratch, f"call-{index}.result")
            value, error = pickle.loads(result.read_bytes()) if result.exists() else (None, "")
            written = result.stat().st_mtime if result.exists() else ended[index][1]
            outcomes.append(
                Outcome(
                    returncode=process.returncode,
                    value=value,
                    error=error,
                    output=Path(scratch, f"log-{index}").read_text(errors="replace"),
                    seconds=ended[index][0] - started,
                    exit_seconds=ended[index][1] - written,
                )
            )
    if check and any(outcome.returncode for outcome in outcomes):
        reports = [
            f"--- node {index}: exit code {outcome.returncode}\n{outcome.output[-4000:]}"
            for index, outcome in enumerate(outcomes)
        ]
        raise AssertionError("\n".join(reports))
    return outcomes


def _environment(index: int, addresses: list[str]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in FRESH_VARIABLES}
    paths = [str(SOURCES), inherited.get("PYTHONPATH", "")]
    environment = inherited | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    if len(addresses) > 1:
        cluster = {"chief": addresses[:1], "worker": addresses[1:]}
        task = {"type": "worker", "index": index - 1} if index else {"type": "chief", "index": 0}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return environment


@contextlib.contextmanager
def _held_port() -> Iterator[int]:
    """A port, free on all addresses; TensorFlow can bind it while it is held, others cannot."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("", 0))
        yield held.getsockname()[1]


def _end(process: subprocess.Popen[bytes], deadline: float) -> tuple[float, float]:
    """Waits for a process, killing it at the deadline; (monotonic, wall) time of its end."""
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _kill_group(process)
    return time.monotonic(), time.time()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _main(call: Path, index: int, count: int) -> int:
    path, name, arguments = pickle.loads(call.read_bytes())
    sys.path.insert(0, str(Path(path).parent))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    value, error = None, ""
    try:
        value = getattr(module, name)(Node(index, count), **arguments)
    except Exception:
        error = traceback.format_exc()
        sys.stderr.write(error)
    partial = call.with_suffix(".partial")
    partial.write_bytes(pickle.dumps((value, error)))
    partial.rename(call.with_suffix(".result"))
    return 1 if error else 0


if __name__ == "__main__":
    from two_processes import _main as main  # the class of Node must be the importable one

    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
