"""Silence is not death: what is stopped and goes on fails nothing, and what hangs is named."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from node_processes import wait_until

import tensorsparkml as tsm
from tensorsparkml import errors

SCRIPT = Path(__file__).with_name("silence_script.py")
STOPPED_SECONDS = 15.0
LEASE_SECONDS = 6.0  # of the tests in which an agent hangs for good
LEAVING_SECONDS = 15.0  # five on a quiet machine; gRPC alone would wait for twenty
HANG_SECONDS = 500.0  # which only a hang needs


@contextmanager
def program(folder, *arguments):
    with (
        open(folder / "output", "w") as output,
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()


@pytest.mark.full
def test_nothing_fails_where_agent_trainer_and_driver_are_stopped_for_a_while(tmp_path):
    with program(tmp_path, "2", "3", "talk") as driver:
        files = [tmp_path / f"node-{rank}" for rank in range(3)]
        started = wait_until(lambda: all(file.exists() for file in files), 120.0)
        assert started, (tmp_path / "output").read_text()
        pairs = [list(map(int, file.read_text().split())) for file in files]
        stopped = [pairs[0][1], pairs[1][0], driver.pid]  # one's agent, another's trainer
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        for process in stopped:
            os.kill(process, signal.SIGCONT)
        # All talk to each other again before they end.
        assert wait_until(lambda: "did not run for" in (tmp_path / "output").read_text(), 60.0)
        (tmp_path / "return").touch()
        status = driver.wait(HANG_SECONDS)
        assert status == 0, (tmp_path / "output").read_text()


@pytest.mark.full
def test_many_empty_nodes_start_at_once(tmp_path):
    with program(tmp_path, "16", "32", "nothing") as driver:
        status = driver.wait(HANG_SECONDS)
        assert status == 0, (tmp_path / "output").read_text()[-4000:]


def hang(args, ctx):
    """Stop the agent, and perhaps this process as well, for good."""
    folder, stops_trainer = args
    if ctx.rank == 1:
        while not Path(folder, "started").exists():
            threading.Event().wait(0.05)
        Path(folder, "processes").write_text(f"{os.getppid()} {os.getpid()}")
        os.kill(os.getppid(), signal.SIGSTOP)
        if stops_trainer:
            os.kill(os.getpid(), signal.SIGSTOP)
    threading.Event().wait()


@pytest.mark.parametrize(
    ("slots", "stops_trainer"),
    [
        ("hold", False),
        pytest.param("release", False, marks=pytest.mark.full),
        pytest.param("hold", True, marks=pytest.mark.full),
    ],
)
def test_an_agent_hangs_for_good(spark, tmp_path, caplog, slots, stops_trainer):
    with (
        pytest.raises(errors.AgentLostError) as caught,
        tsm.Cluster(
            hang,
            (str(tmp_path), stops_trainer),
            spark=spark,
            num_workers=2,
            slots=slots,
            packages=(),
            lease_seconds=LEASE_SECONDS,
        ) as cluster,
    ):
        (tmp_path / "started").touch()
        try:
            cluster.wait(HANG_SECONDS)
        finally:
            raised = time.monotonic()
    left = time.monotonic()
    assert left - raised < LEAVING_SECONDS
    assert caught.value.node == "worker:0"
    assert "lease_seconds=6" in caught.value.message
    agent, trainer = map(int, (tmp_path / "processes").read_text().split())
    warned = [record.message for record in caplog.records if "did not confirm" in record.message]
    if stops_trainer:
        assert f"worker:0 on 127.0.0.1 (processes {agent}, {trainer})" in warned[0]
        os.kill(agent, signal.SIGCONT)  # it then ends by itself, with its trainer
        assert wait_until(lambda: not any(map(psutil.pid_exists, (agent, trainer))), 60.0)
    else:
        assert warned == []


@pytest.mark.full
def test_a_trainer_that_hangs_in_a_training_is_named(spark):
    def main(args, ctx):
        import keras

        class Hang(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch and not ctx.is_chief:
                    os.kill(os.getpid(), signal.SIGSTOP)

        with ctx.strategy.scope():
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
        data = ctx.dataset(batch_size=8, features="x", label="y")
        model.fit(data, epochs=2, callbacks=[Hang()], verbose=0)

    data = spark.range(64).selectExpr("array(float(id)) x", "float(id) y")
    with pytest.raises(errors.TrainerHungError) as caught:
        tsm.run(main, data=data, spark=spark, num_workers=2)
    assert caught.value.node == "worker:0"
    assert "state: stopped" in caught.value.message
    [other] = caught.value.others
    assert other.startswith("[chief:0] MainError: main raised UnavailableError: ")
    assert len(str(caught.value)) < 1000
