"""Programs of TensorFlowOnSpark that Spark feeds."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from node_processes import node_processes, wait_until
from old_programs import fed, found

from tensorflowonspark import TFNode, compat
from tensorsparkml import errors


def save(folder, ctx, content):
    staged = Path(folder, f"{ctx.executor_id}.part")
    staged.write_text(json.dumps(content))
    staged.rename(Path(folder, f"{ctx.executor_id}.json"))


def collect(args, ctx):
    feed, batches = ctx.get_data_feed(), []
    while not feed.should_stop():
        batches.append(feed.next_batch(args["size"]))
    save(args["folder"], ctx, batches)


def rows_of(batches):
    return sorted(row for batch in batches for row in batch)


def test_epochs_and_several_rdds_are_one_feed(spark, tmp_path):
    cluster = fed(spark, collect, {"folder": str(tmp_path), "size": 16})
    cluster.train(spark.sparkContext.parallelize(range(50), 5), num_epochs=2)
    cluster.train(spark.sparkContext.parallelize(range(50, 80), 3), 1)
    cluster.shutdown(grace_secs=1)
    nodes = found(tmp_path)
    assert rows_of([*nodes[0], *nodes[1]]) == sorted([*range(50), *range(50), *range(50, 80)])
    assert (
        [len(batch) for batch in nodes[0]] == [len(batch) for batch in nodes[1]] == [16] * 4 + [1]
    )


def describe_rows(args, ctx):
    feed = TFNode.DataFeed(ctx.mgr)
    rows = []
    while not feed.should_stop():
        rows += feed.next_batch(3)
    save(args, ctx, sorted(f"{type(row).__name__} {row!r}" for row in rows))


def test_rows_keep_their_python_types(spark, tmp_path):
    rows = [(1, [2.0]), [3, "x"], {"a": None}, np.arange(3), np.float32(0.5), b"\0\0", "text", 7]
    cluster = fed(spark, describe_rows, str(tmp_path), num_executors=1)
    cluster.train(spark.sparkContext.parallelize(rows, 2), num_epochs=1)
    cluster.shutdown()
    assert found(tmp_path) == {0: sorted(f"{type(row).__name__} {row!r}" for row in rows)}


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_rows_than_nodes(spark, tmp_path, rows):
    cluster = fed(spark, collect, {"folder": str(tmp_path), "size": 4})
    cluster.train(spark.sparkContext.parallelize(range(rows), 1), num_epochs=1)
    cluster.shutdown()
    nodes = found(tmp_path)
    assert rows_of([*nodes[0], *nodes[1]]) == list(range(rows))


def read_columns(args, ctx):
    feed = ctx.get_data_feed(input_mapping={"b": "x", "a": "y"})
    save(args, ctx, [feed.next_batch(2), feed.next_batch(2)])


def test_an_input_mapping_names_tensors(spark, tmp_path):
    cluster = fed(spark, read_columns, str(tmp_path), num_executors=1)
    cluster.train(spark.sparkContext.parallelize([(1, 10), (2, 20), (3, 30)], 1), num_epochs=1)
    cluster.shutdown()
    assert found(tmp_path) == {0: [{"y": [1, 2], "x": [10, 20]}, {"y": [3], "x": [30]}]}


def stop_after(args, ctx):
    feed, rows = ctx.get_data_feed(train_mode=True), 0
    while not feed.should_stop():
        rows += len(feed.next_batch(10))
        if rows >= 30:
            feed.terminate()
    save(args, ctx, rows)


def test_a_program_that_wants_no_more_ends_the_feed(spark, tmp_path):
    cluster = fed(spark, stop_after, str(tmp_path))
    computed = spark.sparkContext.accumulator(0)

    def slowly(number):
        computed.add(1)
        time.sleep(0.005)
        return number

    cluster.train(spark.sparkContext.parallelize(range(20_000), 40).map(slowly))
    cluster.shutdown()
    assert found(tmp_path) == {0: 30, 1: 30}
    assert computed.value < 20_000


def fit_from_the_feed(args, ctx):
    """Synchronous training as the examples of TensorFlowOnSpark have it."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    feed = TFNode.DataFeed(ctx.mgr)

    def rows():
        while not feed.should_stop():
            batch = feed.next_batch(1)
            if not batch:
                return
            x, y = batch[0]
            yield np.array([x], np.float32), np.array([y], np.float32)

    one = tf.TensorSpec((1,), tf.float32)
    options = tf.data.Options()
    compat.disable_auto_shard(options)
    dataset = tf.data.Dataset.from_generator(rows, output_signature=(one, one))
    dataset = dataset.batch(args["batch_size"]).with_options(options)
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1)])
        model.compile(optimizer=tf.keras.optimizers.SGD(0.2), loss="mse")
    model.fit(dataset, epochs=2, steps_per_epoch=args["steps"], verbose=0)
    feed.terminate()
    compat.export_saved_model(model, args["export_dir"], ctx.job_name == "chief")
    save(args["folder"], ctx, [float(np.ravel(weight)[0]) for weight in model.get_weights()])


@pytest.mark.full
def test_keras_is_fed_by_a_generator(spark, tmp_path):
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    args = {
        "folder": str(nodes),
        "export_dir": str(tmp_path / "model"),
        "batch_size": 16,
        "steps": 40,
    }
    numbers = np.random.default_rng(1).uniform(-1, 1, 2000).tolist()
    rows = spark.sparkContext.parallelize([(x, 3 * x + 1) for x in numbers], 4)
    cluster = fed(spark, fit_from_the_feed, args, master_node="chief")
    cluster.train(rows, num_epochs=2)
    cluster.shutdown(grace_secs=5)
    weights = found(nodes)
    assert weights[0] == weights[1]
    assert weights[0] == pytest.approx([3.0, 1.0], abs=0.1)
    assert (tmp_path / "model" / "saved_model.pb").exists()


def fail_at_ten(args, ctx):
    feed = ctx.get_data_feed()
    rows = 0
    while not feed.should_stop():
        rows += len(feed.next_batch(5))
        if rows >= 10:
            raise ValueError("ten rows are enough")


def test_a_failure_surfaces_in_train_and_leaves_nothing(spark):
    cluster = fed(spark, fail_at_ten, {})
    with pytest.raises(errors.MainError, match="ten rows are enough"):
        cluster.train(spark.sparkContext.parallelize(range(1000), 4), num_epochs=1000)
    # Nobody calls shutdown, as in old programs.
    assert wait_until(lambda: not node_processes())
    assert spark.sparkContext.parallelize(range(4)).sum() == 6
    with pytest.raises(errors.MainError, match="ten rows are enough"):
        cluster.shutdown()


def fail_in_the_end(args, ctx):
    feed = ctx.get_data_feed()
    while not feed.should_stop():
        feed.next_batch(5)
    raise ValueError("too late")


@pytest.mark.full
def test_a_failure_after_the_last_row_surfaces_in_shutdown(spark):
    cluster = fed(spark, fail_in_the_end, {})
    cluster.train(spark.sparkContext.parallelize(range(20), 2), num_epochs=1)
    with pytest.raises(errors.MainError, match="too late"):
        cluster.shutdown(grace_secs=3)


@pytest.mark.full
def test_streams(spark, tmp_path):
    from pyspark.streaming import StreamingContext

    with pytest.warns(FutureWarning, match="DStream is deprecated"):
        context = StreamingContext(spark.sparkContext, 1)
    numbers = [spark.sparkContext.parallelize(range(n, n + 20), 2) for n in range(0, 2000, 20)]
    cluster = fed(spark, stop_after, str(tmp_path))
    cluster.train(context.queueStream(numbers))
    context.start()
    cluster.shutdown(context)
    assert StreamingContext.getActive() is None
    assert found(tmp_path) == {0: 30, 1: 30}


def answer(args, ctx):
    feed = ctx.get_data_feed(train_mode=args["train_mode"])
    while not feed.should_stop():
        batch = feed.next_batch(7)
        feed.batch_results([(row, np.float32(row) / 2) for row in batch])


@pytest.mark.parametrize("train_mode", [False, pytest.param(True, marks=pytest.mark.full)])
def test_results_are_one_to_one_in_order(spark, train_mode):
    rows = spark.sparkContext.parallelize(range(100), 6)
    cluster = fed(spark, answer, {"train_mode": train_mode})
    results = cluster.inference(rows)
    expected = rows.map(lambda row: (row, np.float32(row) / 2)).glom().collect()
    assert results.glom().collect() == expected
    assert {type(half) for _, half in results.collect()} == {np.float32}
    cluster.shutdown()


def fail_while_asked(args, ctx):
    feed = ctx.get_data_feed(False)
    feed.batch_results(feed.next_batch(5))
    raise ValueError("no more")


@pytest.mark.full
def test_a_failure_of_an_inference_leaves_the_application_usable(spark):
    failing = fed(spark, fail_while_asked, {})
    rows = spark.sparkContext.parallelize(range(100), 4)
    with pytest.raises(Exception, match=r"fail_while_asked raised ValueError: no more"):
        failing.inference(rows).count()
    # Nobody calls shutdown, as in old programs.
    cluster = fed(spark, answer, {"train_mode": False})
    assert cluster.inference(rows).count() == 100
    cluster.shutdown()
    assert rows.count() == 100
    with pytest.raises(errors.MainError, match="no more"):
        failing.shutdown()
