"""What fails while workers train through parameter servers ends the cluster, with its cause."""

import threading
from pathlib import Path

import psutil
import pytest
from event import NO_TIMEOUTS
from node_processes import node_processes, wait_until

import tensorsparkml as tsm
from tensorsparkml import errors

COLUMNS = {"batch_size": 16, "features": "x", "label": "y"}


@pytest.fixture
def table(spark):
    return spark.range(200).selectExpr("array(float(id % 7)) as x", "float(id % 5) as y")


def fit(args, ctx):
    """Fit without an end, or until the second epoch, in which a callback raises."""
    import keras

    folder, raises = args

    class Mark(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            Path(folder, f"epoch-{epoch}").touch()
            if raises and epoch == 1:
                raise ZeroDivisionError("the program is wrong")

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
    ctx.asynchronous_fit(
        model, lambda: ctx.dataset(**COLUMNS), epochs=1_000_000, callbacks=[Mark()]
    )


def trainer_of(role: str) -> psutil.Process:
    [found] = [
        process
        for process in node_processes()
        if "tensorsparkml.trainer.process" in process.cmdline()
        and f'"task": {{"type": "{role}", "index": 0' in process.environ()["TF_CONFIG"]
    ]
    return found


@pytest.mark.parametrize("role", [pytest.param("worker", marks=pytest.mark.full), "ps"])
def test_a_server_dies_in_the_middle_of_a_fit(spark, table, tmp_path, role):
    def kill():
        if wait_until(Path(tmp_path, "epoch-2").exists, 600.0):
            trainer_of(role).kill()

    settings = {"num_workers": 3, "num_ps": 1, **NO_TIMEOUTS}
    killer = threading.Thread(target=kill)
    killer.start()
    with (
        pytest.raises(errors.TrainerKilledError) as caught,
        tsm.Cluster(fit, (str(tmp_path), False), spark=spark, **settings) as cluster,
    ):
        cluster.train(table, epochs=1_000_000)
    assert caught.value.node == f"{role}:0"
    killer.join()


@pytest.mark.full
def test_the_chiefs_program_raises(spark, table, tmp_path):
    with (
        pytest.raises(errors.MainError, match="the program is wrong") as caught,
        tsm.Cluster(fit, (str(tmp_path), True), spark=spark, num_workers=3, num_ps=1) as cluster,
    ):
        cluster.train(table, epochs=1_000_000)
    assert caught.value.node == "chief:0"


def check_rows(args, ctx):
    import tensorflow as tf

    def step(batch):
        x, _ = batch
        with tf.control_dependencies([tf.debugging.assert_less(x, 6.0, message="x is too large")]):
            return {"rows": tf.shape(x)[0]}

    ctx.asynchronous_passes(step, lambda: ctx.dataset(**COLUMNS)).run()


@pytest.mark.full
def test_a_step_raises(spark, table):
    with (
        pytest.raises(errors.MainError, match="x is too large") as caught,
        tsm.Cluster(check_rows, spark=spark, num_workers=3, num_ps=1) as cluster,
    ):
        cluster.train(table)
    assert caught.value.node == "chief:0"
