"""Processes that end with everything they started, on real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psutil
import pytest

from tensorsparkml.executor import process_tree
from tensorsparkml.executor.process_tree import (
    alive,
    executor_process,
    kernel_memory_kills,
    kill_group,
    kill_tree,
)

SECONDS = 300.0
# Waits until the test ends, which closes the input that all of them share.
PAUSE = "import sys; sys.stdin.read()"
# Prints its process id before that.
WAITS = f"import os; print(os.getpid(), flush=True); {PAUSE}"
# Starts another one, in a session of its own or not, that has the same input and output.
PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session={session})
{after}
"""

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python programs that lead a session of their own, and ends what is left of them."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def ends_with_all_children(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process, and for the end of its output, which its children hold too.

    What has just ended may count as running for a moment after that.
    """
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], SECONDS)[0], "something still holds the output"
    assert process.stdout.read() == b""
    process.wait(SECONDS)


@pytest.mark.parametrize("session", [False, True], ids=["same session", "own session"])
def test_kill_tree_kills_grandchildren(start: Start, session: bool) -> None:
    middle = PARENT.format(child=WAITS, session=session, after=PAUSE)
    process = start(PARENT.format(child=middle, session=session, after=PAUSE))
    grandchild = psutil.Process(first_line(process))
    assert alive(grandchild)

    kill_tree(process.pid)

    ends_with_all_children(process)
    assert process.returncode == -9


def test_kill_group_kills_what_a_dead_leader_left_behind(start: Start) -> None:
    process = start(PARENT.format(child=WAITS, session=False, after=""))
    first_line(process)
    assert process.wait(SECONDS) == 0
    kill_group(process.pid)
    ends_with_all_children(process)


def test_killing_what_is_gone_does_nothing(start: Start) -> None:
    process = start("")
    process.wait(SECONDS)
    kill_tree(process.pid)
    kill_group(process.pid)
    assert process.returncode == 0


def test_alive_until_it_ends(start: Start) -> None:
    process = start(WAITS)
    first_line(process)
    observed = psutil.Process(process.pid)
    assert alive(observed)
    process.kill()
    process.wait(SECONDS)
    assert not alive(observed)


def test_a_zombie_is_not_alive(start: Start) -> None:
    process = start("")
    observed = psutil.Process(process.pid)
    # Waits for the end but leaves the zombie.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert observed.status() == psutil.STATUS_ZOMBIE
    assert not alive(observed)


def test_the_executor_is_the_nearest_java_above(monkeypatch: pytest.MonkeyPatch) -> None:
    ancestors = [
        SimpleNamespace(name=lambda name=name: name)
        for name in ("python3", "bash", "java", "java", "systemd")
    ]
    family = {7: SimpleNamespace(parents=lambda: ancestors), 8: SimpleNamespace(parents=list)}
    monkeypatch.setattr(process_tree.psutil, "Process", family.__getitem__)
    assert executor_process(7) is ancestors[2]
    assert executor_process(8) is None


def test_no_executor_is_above_a_process_that_is_gone(start: Start) -> None:
    process = start("")
    process.wait(SECONDS)
    assert executor_process(process.pid) is None


def test_the_kernel_counts_its_memory_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "nr_free_pages 1234\noom_kill 17\nother 3\n"

    def read(path: str) -> SimpleNamespace:
        assert path == "/proc/vmstat"
        return SimpleNamespace(read_text=lambda: text)

    monkeypatch.setattr(process_tree, "Path", read)
    assert kernel_memory_kills() == 17
    text = "nr_free_pages 1234\n"
    assert kernel_memory_kills() == 0


def test_where_the_kernel_does_not_count_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(process_tree, "Path", lambda _: SimpleNamespace(read_text=read_text))
    assert kernel_memory_kills() == 0
