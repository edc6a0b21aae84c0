"""The hold on the trainer process: how it starts, how its end is explained."""

from __future__ import annotations

import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tensorsparkml.control.processes import MARK
from tensorsparkml.executor.agent import trainer_process as supervisor
from tensorsparkml.executor.agent.output_log import NodeLog
from tensorsparkml.executor.agent.trainer_process import Trainer, trainer_environment

SECONDS = 300.0


class Started:
    """A shell script in the trainer's place."""

    def __init__(self, trainer: Trainer, log: NodeLog, exits: queue.Queue[int]) -> None:
        self.trainer = trainer
        self.log = log
        self._exits = exits

    def status(self) -> int:
        return self._exits.get(timeout=SECONDS)


Start = Callable[[str], Started]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    program = tmp_path / "python"
    started: list[Trainer] = []
    monkeypatch.setattr(supervisor, "sys", SimpleNamespace(executable=str(program), path=sys.path))

    def start(script: str) -> Started:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        exits: queue.Queue[int] = queue.Queue()
        log = NodeLog(tmp_path / "node.log")
        mark = {MARK: tmp_path.name}
        environment = {"PATH": os.environ["PATH"], "GREETING": "hello", **mark}
        trainer = Trainer(environment, {"rank": 1}, b"main", log, exits.put, umask=0o027)
        started.append(trainer)
        return Started(trainer, log, exits)

    yield start
    for trainer in started:
        trainer.kill()


def test_the_trainer_gets_its_module_its_environment_and_its_frames(start: Start) -> None:
    # Two frames, each behind eight bytes that hold its length.
    started = start('echo "$GREETING $*"; head -c 31 | tr -d "\\000"')
    assert started.status() == 0
    assert started.log.tail() == (
        "hello -m tensorsparkml.trainer.process",
        r'\x0b{"rank": 1}\x04main',
    )


def test_it_leads_a_process_group_of_its_own(start: Start) -> None:
    started = start("cat > /dev/null")
    assert os.getpgid(started.trainer.process_id) == started.trainer.process_id
    started.trainer.kill()
    assert started.status() == -signal.SIGKILL


def test_it_may_exit_when_it_is_told_so(start: Start) -> None:
    started = start("head -c 31 > /dev/null; head -c 11 | tail -c 3; exit 4")
    started.trainer.allow_exit()
    assert started.status() == 4
    assert started.log.tail() == ("end",)


def test_one_that_dies_at_once_is_reported_not_raised(start: Start) -> None:
    started = start("exec <&-; exit 3")
    assert started.status() == 3
    started.trainer.allow_exit()


def test_its_output_is_complete_when_its_end_is_reported(start: Start) -> None:
    started = start("for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; exit 1")
    assert started.status() == 1
    assert started.log.take() == [f"{way} {i}" for i in range(1, 6) for way in ("out", "err")]
    assert started.log.ended.is_set()


def test_what_it_leaves_behind_is_killed(start: Start) -> None:
    # The child holds the output, which ends only with it.
    started = start("tail -f /dev/null & exit 0")
    assert started.status() == 0
    assert started.log.ended.wait(SECONDS)


def test_what_leaves_its_session_is_killed_by_its_mark(start: Start) -> None:
    started = start("setsid tail -f /dev/null & exit 0")
    assert started.status() == 0
    assert started.log.ended.wait(SECONDS)


def test_it_gets_its_own_file_mode_mask(start: Start) -> None:
    started = start("umask")
    started.status()
    assert started.log.tail() == ("0027",)


def test_memory_is_remembered_after_the_end(start: Start) -> None:
    started = start("cat > /dev/null")
    resident = started.trainer.sample_memory()
    assert resident > 0
    started.trainer.kill()
    started.status()
    assert started.trainer.sample_memory() == resident


# What ended it


@pytest.fixture
def trainer(start: Start) -> Trainer:
    started = start("cat > /dev/null")
    started.trainer.sample_memory()
    return started.trainer


@pytest.mark.parametrize("status", [0, 3, 255])
def test_a_program_that_ends_its_process_is_told_to_return(trainer: Trainer, status: int) -> None:
    failure = trainer.explain_exit(status)
    assert failure.kind == "MainExitError"
    assert f"exit status {status};" in failure.message
    assert "let its function return" in failure.message
    assert not failure.consequence


@pytest.mark.parametrize(
    ("number", "advice", "consequence"),
    [
        (signal.SIGKILL, "somebody, or a container's limit, killed it", False),
        (signal.SIGSEGV, "native code crashed: the node's log may say where", False),
        (signal.SIGABRT, "native code gave up: the node's log says why", True),
        (signal.SIGTERM, "somebody, or the cluster manager, ended it", False),
        (signal.SIGBUS, "", False),
    ],
)
def test_a_signal_is_named(
    trainer: Trainer, number: signal.Signals, advice: str, consequence: bool
) -> None:
    failure = trainer.explain_exit(-number)
    assert failure.kind == "TrainerKilledError"
    assert failure.message.startswith(f"signal {number.name} ended the TensorFlow process (")
    assert "MiB resident when last seen)" in failure.message
    assert failure.message.endswith(advice)
    assert failure.consequence is consequence


def test_a_signal_without_a_name_is_numbered(trainer: Trainer) -> None:
    failure = trainer.explain_exit(-(signal.SIGRTMIN + 1))
    assert failure.kind == "TrainerKilledError"
    assert failure.message.startswith(f"signal {signal.SIGRTMIN + 1} ended")


def test_a_kill_by_the_kernel_is_for_lack_of_memory(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = 5
    monkeypatch.setattr(supervisor, "kernel_memory_kills", lambda: kills)
    trainer = start("cat > /dev/null").trainer
    assert trainer.explain_exit(-signal.SIGKILL).kind == "TrainerKilledError"
    kills = 6
    failure = trainer.explain_exit(-signal.SIGKILL)
    assert failure.kind == "TrainerOutOfMemoryError"
    assert "spark.executor.memoryOverhead" in failure.message
    # The kernel kills with no other signal.
    assert trainer.explain_exit(-signal.SIGTERM).kind == "TrainerKilledError"


def test_the_environment_has_this_pythons_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_SPARK", "kept")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setattr("sys.path", ["", "/a", "/b.zip"])
    environment = trainer_environment({"TF_CONFIG": "{}"})
    assert environment["FROM_SPARK"] == "kept"
    assert environment["PYTHONPATH"].split(os.pathsep) == ["/a", "/b.zip"]
    assert environment["KERAS_BACKEND"] == "tensorflow"
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "1"
    assert environment["TF_CONFIG"] == "{}"


def test_what_the_user_sets_for_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    assert trainer_environment({})["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert trainer_environment({"TF_CPP_MIN_LOG_LEVEL": "0"})["TF_CPP_MIN_LOG_LEVEL"] == "0"
