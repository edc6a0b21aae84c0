"""Roles beside chief and workers: parameter servers and evaluators."""

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest
from node_processes import node_processes, wait_until

import tensorsparkml as tsm
from tensorsparkml import errors


def train_through_coordinator(args, ctx):
    """Fit y = 3x + 1 by steps that the chief hands to workers; the weights are on the servers."""
    import tensorflow as tf

    strategy = ctx.parameter_server_strategy(
        tf.distribute.experimental.partitioners.FixedShardsPartitioner(2)
    )
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        weights = tf.Variable(tf.zeros([2, 1]))
        steps_of_workers = [tf.Variable(0) for _ in range(2)]

    def rows(_):
        x = tf.random.stateless_uniform([64], seed=(1, 2))
        return tf.data.Dataset.from_tensors((x, 3 * x + 1)).repeat()

    iterator = iter(coordinator.create_per_worker_dataset(lambda: rows(None)))

    @tf.function
    def step(iterator):
        x, y = next(iterator)
        features = tf.stack([x, tf.ones_like(x)], axis=1)
        with tf.GradientTape() as tape:
            table = tf.concat([shard.read_value() for shard in weights.variables], axis=0)
            loss = tf.reduce_mean((features @ table - y[:, None]) ** 2)
        for shard, gradient in zip(
            weights.variables, tape.gradient(loss, weights.variables), strict=True
        ):
            shard.assign_sub(0.3 * gradient)
        steps_of_workers[0].assign_add(1)
        return loss

    for _ in range(200):
        coordinator.schedule(step, args=(iterator,))
    coordinator.join()
    return {
        "role": ctx.role,
        "is_chief": ctx.is_chief,
        "devices": sorted({shard.device for shard in weights.variables}),
        "weights": [float(shard[0, 0]) for shard in weights.variables],
        "steps": int(steps_of_workers[0]),
        "spec": {role: len(addresses) for role, addresses in ctx.cluster_spec.items()},
    }


@pytest.mark.full
def test_parameter_servers_hold_the_weights(spark):
    (chief,) = tsm.run(train_through_coordinator, spark=spark, num_workers=2, num_ps=2)
    assert chief["role"] == "chief" and chief["is_chief"]
    assert chief["spec"] == {"chief": 1, "worker": 1, "ps": 2}
    assert chief["devices"] == [
        "/job:ps/replica:0/task:0/device:CPU:0",
        "/job:ps/replica:0/task:1/device:CPU:0",
    ]
    assert chief["steps"] == 200
    assert chief["weights"] == pytest.approx([3.0, 1.0], abs=0.05)


def wait_for_the_chief(folder, ctx):
    """Spare a worker the half a minute that TensorFlow 1 sleeps where variables are not ready."""
    while not (ctx.is_chief or Path(folder, "ready").exists()):
        time.sleep(0.05)


def train_between_graphs(folder, ctx):
    """A program of TensorFlow 1: each worker builds the graph and steps by itself."""
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    spec = tf.train.ClusterSpec(ctx.cluster_spec)
    server = tf.train.Server(spec, job_name=ctx.role, task_index=ctx.task_index)
    with tf.device(
        tf.train.replica_device_setter(
            worker_device=f"/job:{ctx.role}/task:{ctx.task_index}", cluster=spec
        )
    ):
        count = tf.get_variable("count", initializer=0)
        step = tf.train.get_or_create_global_step()
        train = tf.group(tf.assign_add(count, 1), tf.assign_add(step, 1))
    hooks = [tf.train.StopAtStepHook(last_step=100)]
    taken = 0
    wait_for_the_chief(folder, ctx)
    with tf.train.MonitoredTrainingSession(
        master=server.target, is_chief=ctx.is_chief, hooks=hooks
    ) as session:
        Path(folder, "ready").touch()
        while not session.should_stop():
            session.run(train)
            taken += 1
    return ctx.role, taken, count.device


def test_between_graph_replication(spark, tmp_path):
    results = tsm.run(
        train_between_graphs,
        str(tmp_path),
        spark=spark,
        num_workers=2,
        num_ps=1,
        between_graph=True,
    )
    assert [role for role, _, _ in results] == ["chief", "worker"]
    assert {device for _, _, device in results} == {"/job:ps/task:0"}
    assert all(taken > 0 for _, taken, _ in results)
    assert sum(taken for _, taken, _ in results) >= 100


def serve_or_count(folder, ctx):
    """Each node starts its own server, and those of the parameter servers never end."""
    import tensorflow.compat.v1 as tf

    spec = tf.train.ClusterSpec(ctx.cluster_spec)
    server = tf.train.Server(spec, job_name=ctx.role, task_index=ctx.task_index)
    if ctx.role == "ps":
        Path(folder, f"ps-{ctx.task_index}").touch()
        server.join()
    with tf.Graph().as_default():
        with tf.device("/job:ps/task:0"):
            count = tf.get_variable("count", initializer=0)
        add = tf.assign_add(count, 1)
        wait_for_the_chief(folder, ctx)
        with tf.train.MonitoredTrainingSession(server.target, ctx.is_chief) as session:
            Path(folder, "ready").touch()
            return int(session.run(add))


@pytest.mark.full
def test_main_on_parameter_servers_is_ended_with_the_training(spark, tmp_path):
    results = tsm.run(
        serve_or_count,
        str(tmp_path),
        spark=spark,
        num_workers=2,
        num_ps=1,
        between_graph=True,
        main_on_ps=True,
    )
    assert sorted(results[:2]) == [1, 2]
    assert results[2] is None
    assert Path(tmp_path, "ps-0").exists()


def write_or_watch(folder, ctx):
    """Training writes files, and the evaluator reads each, also the one that comes last."""
    if ctx.role == "evaluator":
        seen = []
        while True:
            ended = ctx.training_ended(0.05)
            seen += [path for path in sorted(os.listdir(folder)) if path not in seen]
            if ended:
                return seen
    if ctx.is_chief:
        for epoch in range(3):
            Path(folder, f"checkpoint-{epoch}").touch()
    import json

    return sorted(json.loads(os.environ["TF_CONFIG"])["cluster"])


def test_an_evaluator_sees_the_last_checkpoint(spark, tmp_path):
    results = tsm.run(write_or_watch, str(tmp_path), spark=spark, num_workers=2, evaluator=True)
    checkpoints = [f"checkpoint-{epoch}" for epoch in range(3)]
    assert results == [["chief", "worker"], ["chief", "worker"], checkpoints]


def train_or_evaluate_for_ever(folder, ctx):
    if ctx.role == "evaluator":
        import json

        task = json.loads(os.environ["TF_CONFIG"])["task"]
        Path(folder, "evaluates").write_text(json.dumps(task))
        while True:
            time.sleep(0.1)
    while not Path(folder, "evaluates").exists():
        time.sleep(0.01)
    return ctx.role


def test_an_evaluator_that_never_asks_is_ended_with_the_training(spark, tmp_path):
    results = tsm.run(
        train_or_evaluate_for_ever, str(tmp_path), spark=spark, num_workers=1, evaluator=True
    )
    assert results == ["chief", None]
    assert Path(tmp_path, "evaluates").read_text() == '{"type": "evaluator", "index": 0}'


def test_parameter_servers_on_the_drivers_host_take_no_slot(spark):
    # Two workers, and three parameter servers: four slots would not be enough.
    (chief,) = tsm.run(
        report_servers,
        spark=spark,
        num_workers=2,
        num_ps=3,
        driver_ps_nodes=True,
    )
    assert chief == [
        "/job:ps/replica:0/task:0",
        "/job:ps/replica:0/task:1",
        "/job:ps/replica:0/task:2",
    ]


def report_servers(args, ctx):
    import tensorflow as tf

    with ctx.strategy.scope():
        variables = [tf.Variable(float(index)) for index in range(ctx.num_ps)]
    return sorted(variable.device.partition("/device")[0] for variable in variables)


def wait_for_signal(folder, ctx):
    import tensorflow as tf

    if ctx.is_chief:
        ctx.strategy  # noqa: B018 (connects to the servers)
        Path(folder, "runs").touch()
    tf.constant(0)
    while True:
        time.sleep(0.05)


def trainer_of(role: str) -> psutil.Process:
    for process in node_processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "tensorsparkml.trainer.process" in process.cmdline() and (
                f'"task": {{"type": "{role}"' in process.environ()["TF_CONFIG"]
            ):
                return process
    raise AssertionError(f"no {role} runs")


@pytest.mark.parametrize(
    "role",
    [
        *(pytest.param(role, marks=pytest.mark.full) for role in ("chief", "worker", "evaluator")),
        "ps",
    ],
)
def test_each_roles_death_is_the_named_cause(spark, tmp_path, role):
    cluster = tsm.Cluster(
        wait_for_signal,
        str(tmp_path),
        spark=spark,
        num_workers=2,
        num_ps=1,
        evaluator=True,
        fed=False,
    )
    with pytest.raises(errors.TrainerKilledError) as caught, cluster:
        assert wait_until(Path(tmp_path, "runs").exists)
        trainer_of(role).kill()
    assert caught.value.node == f"{role}:0"


def test_only_such_a_chief_has_the_strategy(spark):
    found = tsm.run(
        ask_for_strategy, spark=spark, num_workers=1, num_ps=1, between_graph=True, evaluator=True
    )
    assert ["this is the chief" in found[0], "this is the evaluator" in found[1]] == [True, True]


def ask_for_strategy(args, ctx):
    ctx.training_ended()
    try:
        ctx.parameter_server_strategy()
    except tsm.errors.ConfigurationError as error:
        return error.message


def test_a_launch_that_fails_ends_the_servers_on_the_drivers_host(spark):
    from pyspark.sql.functions import udf

    @udf("int")
    def broken(value):
        raise ZeroDivisionError("the rows cannot be computed")

    rows = spark.range(4).select(broken("id").alias("x"))
    with pytest.raises(errors.FeedError, match="the rows cannot be computed"):
        tsm.run(
            report_servers, spark=spark, data=rows, num_workers=2, num_ps=1, driver_ps_nodes=True
        )
