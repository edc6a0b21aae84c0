"""Programs of TensorFlowOnSpark that read their own data, and what the old API tells them."""

import argparse
import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from old_programs import fed, found, start

from tensorflowonspark import TFParallel, compat
from tensorsparkml import errors


def save(folder, ctx, content):
    staged = Path(folder, f"{ctx.executor_id}.part")
    staged.write_text(json.dumps(content))
    staged.rename(Path(folder, f"{ctx.executor_id}.json"))


def describe(args, ctx):
    save(
        args.folder,
        ctx,
        {
            "job": [ctx.job_name, ctx.task_index, ctx.worker_num, ctx.num_workers],
            "spec": ctx.cluster_spec,
            "task": json.loads(os.environ["TF_CONFIG"])["task"],
            "path": [ctx.defaultFS, ctx.working_dir, ctx.absolute_path("model")],
            "socket": ctx.tmp_socket,
        },
    )
    if ctx.job_name in ("ps", "evaluator"):
        threading.Event().wait()
    nodes = sum(map(len, ctx.cluster_spec.values()))
    while len(list(Path(args.folder).glob("*.json"))) < nodes:
        time.sleep(0.05)


def test_every_node_runs_the_program_and_knows_who_it_is(spark, tmp_path):
    args = argparse.Namespace(folder=str(tmp_path))
    cluster = start(spark, describe, args, 4, 1, master_node="master", eval_node=True)
    cluster.shutdown()
    cluster.shutdown()
    nodes = found(tmp_path)
    assert [nodes[number]["job"] for number in range(4)] == [
        ["ps", 0, 0, 2],
        ["master", 0, 1, 2],
        ["evaluator", 0, 2, 2],
        ["worker", 0, 3, 2],
    ]
    spec = {
        job: [f"{node['host']}:{node['port']}"]
        for node in cluster.cluster_info
        for job in [node["job_name"]]
    }
    assert all(node["spec"] == spec for node in nodes.values())
    assert nodes[1]["task"] == {"type": "chief", "index": 0}
    here = os.getcwd()
    assert nodes[0]["path"] == ["file://", here, f"file://{here}/model"]
    assert nodes[0]["socket"] is None
    assert [node["executor_id"] for node in cluster.cluster_info] == [0, 1, 2, 3]
    assert cluster.tensorboard_url() is None


@pytest.mark.full
def test_without_a_master_all_are_workers(spark, tmp_path):
    start(spark, describe, argparse.Namespace(folder=str(tmp_path))).shutdown()
    nodes = found(tmp_path)
    assert [nodes[number]["job"] for number in (0, 1)] == [
        ["worker", 0, 0, 2],
        ["worker", 1, 1, 2],
    ]
    assert list(nodes[0]["spec"]) == ["worker"]


def count_steps(args, ctx):
    """A program of TensorFlow 1 as the old documentation has it, with the names of today."""
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    cluster, server = ctx.start_cluster_server(1)
    if ctx.job_name == "ps":
        server.join()
    here = f"/job:worker/task:{ctx.task_index}"
    with tf.device(tf.train.replica_device_setter(worker_device=here, cluster=cluster)):
        step = tf.train.get_or_create_global_step()
        train = tf.assign_add(step, 1)
    hooks = [tf.train.StopAtStepHook(last_step=20)]
    is_chief, ready = ctx.task_index == 0, Path(args["folder"], "ready")
    while not (is_chief or ready.exists()):
        time.sleep(0.05)  # TensorFlow 1 sleeps for half a minute where variables are not ready
    with tf.train.MonitoredTrainingSession(server.target, is_chief, hooks=hooks) as session:
        ready.touch()
        while not session.should_stop():
            session.run(train)
    save(args["folder"], ctx, step.device)


@pytest.mark.full
def test_parameter_servers_that_never_return_are_ended(spark, tmp_path):
    start(spark, count_steps, {"folder": str(tmp_path)}, 3, 1).shutdown()
    assert found(tmp_path) == {1: "/job:ps/task:0", 2: "/job:ps/task:0"}


@pytest.mark.full
def test_parameter_servers_on_the_drivers_host_take_no_slot(spark, tmp_path):
    args = {"folder": str(tmp_path)}
    start(spark, count_steps, args, 5, 2, driver_ps_nodes=True).shutdown()
    assert sorted(found(tmp_path)) == [2, 3, 4]


def keep_the_port(args, ctx):
    host, _, port = ctx.cluster_spec["worker"][ctx.task_index].rpartition(":")

    def can_bind():
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                other.bind((host, int(port)))
                other.listen()
            except OSError:
                return False
            return True

    kept = ctx.tmp_socket.getsockname() == (host, int(port)) and not can_bind()
    ctx.release_port()
    save(args["folder"], ctx, [kept, can_bind(), ctx.tmp_socket])


def test_the_program_releases_its_port(spark, tmp_path):
    start(spark, keep_the_port, {"folder": str(tmp_path)}, release_port=False).shutdown()
    assert found(tmp_path) == {number: [True, True, None] for number in (0, 1)}


def use_an_estimator(args, ctx):
    import tensorflow as tf

    tf.estimator.RunConfig()


def test_estimators_are_an_error_that_says_what_to_use(spark):
    cluster = start(spark, use_an_estimator, {}, 1)
    with pytest.raises(errors.ConfigurationError, match=r"no tf\.estimator since 2\.16. Use Keras"):
        cluster.shutdown()


def wait_for_ever(args, ctx):
    threading.Event().wait()


def test_a_shutdown_may_take_only_so_long(spark):
    cluster = start(spark, wait_for_ever, {})
    with pytest.raises(errors.NodeError, match=r"on chief:0, worker:0, the program was still"):
        cluster.shutdown(timeout=1)


def export(args, ctx):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    compat.export_saved_model(model, args["export_dir"], ctx.job_name == "chief")


@pytest.mark.full
def test_the_chief_exports_a_model(spark, tmp_path):
    target = tmp_path / "model"
    start(spark, export, {"export_dir": f"file://{target}"}, master_node="chief").shutdown()
    assert (target / "saved_model.pb").exists()


# TFParallel


def tell(args, ctx):
    save(args["folder"], ctx, [ctx.worker_num, ctx.num_workers, ctx.defaultFS])


@pytest.mark.parametrize(
    ("instances", "use_barrier"), [(4, True), pytest.param(6, False, marks=pytest.mark.full)]
)
def test_parallel_instances(spark, tmp_path, instances, use_barrier):
    args = {"folder": str(tmp_path)}
    TFParallel.run(spark.sparkContext, tell, args, instances, use_barrier=use_barrier)
    assert found(tmp_path) == {
        number: [number, instances, "file://"] for number in range(instances)
    }


def test_a_barrier_needs_a_slot_for_each(spark, tmp_path):
    with pytest.raises(errors.NotEnoughSlotsError, match="5 instances need 5"):
        TFParallel.run(spark.sparkContext, tell, {"folder": str(tmp_path)}, 5)
    assert found(tmp_path) == {}


@pytest.mark.parametrize("option", ["driver_ps_nodes", "eval_node"])
def test_what_only_works_without_feeds(spark, option):
    with pytest.raises(errors.ConfigurationError, match=option):
        fed(spark, describe, {}, num_executors=3, num_ps=1, **{option: True})


def test_feeding_needs_its_mode(spark, tmp_path):
    cluster = start(spark, describe, argparse.Namespace(folder=str(tmp_path)))
    with pytest.raises(errors.ConfigurationError, match=r"InputMode\.SPARK"):
        cluster.train(spark.sparkContext.parallelize([1]))
    cluster.shutdown()
