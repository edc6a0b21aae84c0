"""When an agent reports that its trainer does not respond."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tensorsparkml.control.protocol.events import NodeWarning, TrainerSilent
from tensorsparkml.executor.agent.trainer_heartbeat import TrainerHeartbeat


@pytest.fixture
def trainer() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def stop(process_id: int) -> None:
    os.kill(process_id, signal.SIGSTOP)
    os.waitpid(process_id, os.WUNTRACED)  # until it is stopped


def test_a_stopped_trainer_is_reported_at_once_when_the_node_is_told_to_end(trainer: int) -> None:
    heartbeat = TrainerHeartbeat()
    heartbeat.heard()
    stop(trainer)
    assert heartbeat.look(trainer) == []  # it has been silent for a moment only
    silent, warning = heartbeat.look(trainer, at_stop=True)
    assert isinstance(silent, TrainerSilent)
    assert silent.state == psutil.STATUS_STOPPED
    assert isinstance(warning, NodeWarning)
    assert "(state: stopped)" in warning.message


def test_a_trainer_that_runs_is_not_reported(trainer: int) -> None:
    heartbeat = TrainerHeartbeat()
    heartbeat.heard()
    assert heartbeat.look(trainer, at_stop=True) == []


def test_a_trainer_that_has_ended_is_not_reported(trainer: int) -> None:
    heartbeat = TrainerHeartbeat()
    heartbeat.heard()
    os.kill(trainer, signal.SIGKILL)
    os.waitid(os.P_PID, trainer, os.WEXITED | os.WNOWAIT)
    assert heartbeat.look(trainer, at_stop=True) == []


def test_a_trainer_that_still_starts_is_not_reported(trainer: int) -> None:
    stop(trainer)
    assert TrainerHeartbeat().look(trainer, at_stop=True) == []
