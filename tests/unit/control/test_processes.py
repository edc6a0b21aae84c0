"""Ending what a program has started, on real processes that try to stay."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest

from tensorsparkml.control import processes
from tensorsparkml.control.processes import MARK, kill_descendants, kill_marked, node_mark
from tensorsparkml.executor.process_tree import alive

SECONDS = 60.0

# Each stands in the place of an agent.
AGENT = """
import os, subprocess, sys, time
from contextlib import suppress
import psutil
from tensorsparkml.control.processes import kill_descendants
from tensorsparkml.executor.process_tree import adopt_orphans, adopts_orphans, reap_orphans

def shell(script):
    # A shell may tell that its child was killed before it is killed itself.
    return subprocess.Popen(
        ["sh", "-c", script], start_new_session=True, stderr=subprocess.DEVNULL
    )

def below():
    names = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            names.append(process.name())
    return sorted(names)

def wait_for_zombies(number):
    def zombies():
        return [p for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]
    while len(zombies()) != number:
        time.sleep(0.01)

def wait_for(*names):
    while below() != sorted(names):  # a process has its parent's name before it has its own
        time.sleep(0.01)

assert not adopts_orphans()
adopt_orphans()
assert adopts_orphans()
"""

LEAVES_THE_SESSION = """
shell("setsid sleep 1000 & exit").wait()
wait_for("sleep")
kill_descendants()
assert below() == []
"""

IGNORES_SIGNALS = """
shell("trap '' TERM HUP INT; sleep 1000 & exit").wait()
wait_for("sleep")
kill_descendants()
assert below() == []
"""

SPARED = """
board = shell("sleep 1000 & wait")
shell("setsid sh -c 'sleep 1000 & wait' & exit").wait()
wait_for("sh", "sh", "sleep", "sleep")
kill_descendants(spare=[board.pid])
assert below() == ["sh", "sleep"]
assert board.poll() is None
kill_descendants()
assert below() == []
"""

STARTS_AGAIN = """
shell("setsid sh -c 'while :; do sleep 0.01; done' & exit").wait()
while "sleep" not in below():
    pass
kill_descendants()
assert below() == []
"""

ENDS_BY_ITSELF = """
shell("sleep 0.01 & sleep 0.01 & exit").wait()
wait_for_zombies(2)
reap_orphans(own=())
assert below() == []
reap_orphans(own=())
"""

STARTED_BY_THE_AGENT = """
trainer, other = shell("exit 3"), subprocess.Popen(["sh", "-c", "exit 4"])
wait_for_zombies(2)
reap_orphans(own=[trainer.pid])
assert trainer.wait() == 3
reap_orphans(own=[])
assert other.wait() == 4
"""

PROGRAMS = {
    "one that leaves the session is killed": LEAVES_THE_SESSION,
    "one that ignores signals is killed": IGNORES_SIGNALS,
    "what is spared stays with its children": SPARED,
    "one that starts again what was killed is killed": STARTS_AGAIN,
    "adopted zombies are collected": ENDS_BY_ITSELF,
    "the status of own children is theirs to collect": STARTED_BY_THE_AGENT,
}


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="only Linux has child subreapers; elsewhere the mark finds processes, see below",
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_agent_that_adopts_orphans(name: str) -> None:
    program = AGENT + PROGRAMS[name]
    agent = [sys.executable, "-c", program]
    result = subprocess.run(agent, capture_output=True, text=True, timeout=SECONDS)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture
def mark() -> str:
    return node_mark(uuid.uuid4().hex[:12], 3)


@pytest.fixture
def marked(mark: str) -> Iterator[list[psutil.Process]]:
    """A process, and a daemon that it leaves, with the mark; and one each with another."""
    found, children = [], []
    for value in (mark, f"{mark}0"):
        script = "sleep 1000 & echo $!"
        started = subprocess.Popen(
            ["sh", "-c", f"{script}; exec sleep 1000"],
            env={**os.environ, MARK: value},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        children.append(started)
        assert started.stdout is not None
        daemon = psutil.Process(int(started.stdout.readline()))
        found += [psutil.Process(started.pid), daemon]
        started.stdout.close()
    yield found
    for process in found:
        if process.is_running():
            process.kill()
    for child in children:
        child.wait()


def test_only_what_has_the_mark_is_killed(mark: str, marked: list[psutil.Process]) -> None:
    kill_marked(mark)
    assert [alive(process) for process in marked] == [False, False, True, True]


def test_the_process_itself_is_not_killed(mark: str) -> None:
    program = (
        "import os; from tensorsparkml.control.processes import MARK, kill_marked\n"
        "kill_marked(os.environ[MARK])"
    )
    environment = {**os.environ, MARK: mark}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


def test_what_may_not_be_killed_is_logged_and_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def kill() -> None:
        raise psutil.AccessDenied

    other = SimpleNamespace(
        pid=7, status=lambda: psutil.STATUS_RUNNING, children=lambda recursive: [], kill=kill
    )
    this = SimpleNamespace(children=lambda: [other])
    monkeypatch.setattr(processes.psutil, "Process", lambda: this)
    kill_descendants()
    assert caplog.messages == ["no permission to kill process 7"]


def test_what_the_kernel_does_not_let_go_is_logged_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = SimpleNamespace(
        pid=7,
        status=lambda: psutil.STATUS_DISK_SLEEP,
        children=lambda recursive: [],
        kill=lambda: None,
    )
    this = SimpleNamespace(children=lambda: [other])
    monkeypatch.setattr(processes.psutil, "Process", lambda: this)
    monkeypatch.setattr(processes, "_KILL_SECONDS", 0.0)
    kill_descendants()
    assert "still run after SIGKILL" in caplog.text
