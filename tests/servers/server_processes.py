"""Starts servers, waits until they answer, and ends them."""

import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec

HOST = "127.0.0.1"
_SECONDS = 60  # which only a server that hangs takes


def free_ports(count: int) -> list[int]:
    """Ports that the system gives nobody who asks for any, so that they stay free for a while."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            if port not in found:
                found.append(port)
    return found


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


@contextmanager
def filesystems_dropped(protocol: str) -> Iterator[None]:
    """At the end, drop fsspec's instances for a protocol.

    fsspec drops them in every child of a fork. There, they wait forever for threads that only the
    parent has, and Spark's JVM is started with a fork.
    """
    try:
        yield
    finally:
        fsspec.get_filesystem_class(protocol).clear_instance_cache()
