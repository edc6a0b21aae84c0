"""What main starts ends with its node, however that ends: own sessions and daemons too."""

import os
import signal
import threading

import psutil
import pytest
from left_processes import leave_processes
from node_processes import all_end

import tensorsparkml as tsm
from tensorsparkml import errors

# A killed process may be listed for a moment; only what is never killed reaches this limit.
SECONDS = 30.0


def ends_badly(spark, folder, action, error):
    def main(args, ctx):
        leave_processes(args, ctx.rank)
        action()

    with pytest.raises(error):
        tsm.run(main, str(folder), spark=spark, packages=())
    return all_end(folder, 1, SECONDS)


def test_main_returns(spark, tmp_path):
    def main(args, ctx):
        leave_processes(args, ctx.rank)

    tsm.run(main, str(tmp_path), spark=spark, num_workers=2, packages=())
    assert all_end(tmp_path, 2, SECONDS)


def test_main_raises(spark, tmp_path):
    def action():
        raise ValueError("mine")

    assert ends_badly(spark, tmp_path, action, errors.MainError)


def test_trainer_is_killed(spark, tmp_path):
    def action():
        os.kill(os.getpid(), signal.SIGKILL)

    assert ends_badly(spark, tmp_path, action, errors.TrainerKilledError)


def test_agent_is_killed(spark, tmp_path):
    def action():
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()

    assert ends_badly(spark, tmp_path, action, errors.AgentLostError)


def test_agent_and_trainer_are_killed(spark, tmp_path):
    def action():
        trainer = psutil.Process()
        # The agent must not see the end of its trainer, nor the trainer that of its agent.
        agent = trainer.parent()
        agent.suspend()
        os.kill(agent.pid, signal.SIGKILL)
        os.kill(trainer.pid, signal.SIGKILL)

    assert ends_badly(spark, tmp_path, action, errors.AgentLostError)


def test_executor_is_killed(spark, tmp_path):
    def action():
        # trainer → agent → Python worker → Spark's daemon → the executor's JVM
        jvm = next(p for p in psutil.Process().parents() if p.name() == "java")
        jvm.kill()
        threading.Event().wait()

    assert ends_badly(spark, tmp_path, action, errors.ExecutorLostError)
