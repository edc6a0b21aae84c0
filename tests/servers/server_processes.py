"""Starts servers, waits until they answer, and ends them."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

HOST = "127.0.0.1"
_SECONDS = 60  # which only a server that hangs takes


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen]:
    """A server, from when it is ready. Nothing it holds is worth a slow end: it is killed."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent
        )
    try:
        deadline = time.monotonic() + _SECONDS
        while not ready():
            written = log.read_text(errors="replace")[-4000:]
            assert process.poll() is None, f"{command[0]} has ended:\n{written}"
            assert time.monotonic() < deadline, f"{command[0]} is not ready:\n{written}"
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()
