"""Rows that are answered by the nodes of a running cluster: `cluster.inference`."""

import os
import signal
import threading
from pathlib import Path

import pytest
from event import NO_TIMEOUTS
from pyspark.sql import functions as F

import tensorsparkml as tsm
from tensorsparkml import errors


def double(args, ctx):
    """Reply with twice the id to each row, and return how many there were."""
    rows = 0
    for batch in ctx.inference(batch_size=64):
        if "id" in batch:
            batch.reply({"prediction": batch["id"] * 2})
        else:
            batch.reply([(element, element * 2) for element in batch.elements])
        rows += batch.rows
    return rows


def repeat(args, ctx):
    """Reply to each id with as many rows as it modulo three."""
    for batch in ctx.inference(batch_size=100, columns=["id"]):
        batch.reply({"id": batch["id"].repeat(batch["id"] % 3)})


def uneven(spark, rows=1003):
    """So many ids in five partitions, of which two have none."""
    ids = {0: range(700), 2: range(700, 703), 3: range(703, rows)}
    partitions = spark.sparkContext.parallelize(range(5), 5).mapPartitionsWithIndex(
        lambda index, _: ((number,) for number in ids.get(index, []))
    )
    return spark.createDataFrame(partitions, "id long")


def test_order_and_partitions_are_those_of_the_rows(spark):
    rows = uneven(spark)
    number = F.monotonically_increasing_id()  # the partition, and the place in it
    expected = rows.select("id", number.alias("place")).collect()
    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        results = cluster.inference(rows, "prediction long")
        assert results.count() == 1003
        found = results.select("prediction", number.alias("place")).collect()
        assert [(row.prediction, row.place) for row in found] == [
            (row.id * 2, row.place) for row in expected
        ]
        kept = cluster.inference(rows, keep=["id"])
        assert kept.dtypes == [("id", "bigint"), ("prediction", "float")]
        assert [tuple(row) for row in kept.collect()] == [(i, 2.0 * i) for i in range(1003)]
    # Three actions; the first result is computed again for each.
    assert sum(cluster.results) == 3 * 1003


def test_rdd(spark):
    elements = spark.sparkContext.parallelize(["a", [1, 2], (3,), 2.5], 3)
    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        results = cluster.inference(elements)
        found = results.glom().collect()
        assert results.count() == 4
    assert found == [
        [("a", "aa")],
        [([1, 2], [1, 2, 1, 2])],
        [((3,), (3, 3)), (2.5, 5.0)],
    ]


def test_another_number_of_rows(spark):
    with tsm.Cluster(repeat, spark=spark, num_workers=2) as cluster:
        found = cluster.inference(uneven(spark), "id long").collect()
    assert [row.id for row in found] == [i for i in range(1003) for _ in range(i % 3)]


def test_a_task_that_is_repeated_gives_its_results_once(spark, small_record_batches):
    @F.udf("long")
    def fail_at_first(number):
        from pyspark import TaskContext

        # After some record batches of the partition have been answered.
        if number == 58_000 and TaskContext.get().attemptNumber() < 2:
            raise OSError("the disk was away")
        return number

    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        rows = spark.range(0, 60_000, 1, 3).select(fail_at_first("id").alias("id"))
        found = cluster.inference(rows, "prediction long").collect()
    assert [row.prediction for row in found] == [2 * number for number in range(60_000)]


def test_a_task_that_is_killed_in_the_middle(spark, small_record_batches):
    def die_at_first(batches):
        import os

        from pyspark import TaskContext

        context = TaskContext.get()
        for number, batch in enumerate(batches):
            if (context.partitionId(), context.attemptNumber(), number) == (1, 0, 3):
                os._exit(1)
            yield batch

    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        rows = spark.range(0, 20_000, 1, 2)
        results = cluster.inference(rows, "prediction long")
        found = results.mapInArrow(die_at_first, results.schema).collect()
    assert [row.prediction for row in found] == [2 * number for number in range(20_000)]


def test_only_some_results_are_wanted(spark):
    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        results = cluster.inference(spark.range(0, 1_000_000, 1, 2), "prediction long")
        assert [row.prediction for row in results.limit(3).collect()] == [0, 2, 4]
        # The node goes on with the next.
        assert cluster.inference(uneven(spark), "prediction long").count() == 1003


def fail_in_the_middle(args, ctx):
    for number, batch in enumerate(ctx.inference(batch_size=10)):
        if number == 3 and ctx.rank == 1:
            raise ValueError("the third weight is odd")
        batch.reply({"prediction": batch["id"]})


def stop_in_the_middle(args, ctx):
    batch = next(iter(ctx.inference(batch_size=10)))
    batch.reply({"prediction": batch["id"]})


def test_main_raises_in_the_middle(spark):
    with (
        pytest.raises(errors.MainError) as caught,
        tsm.Cluster(fail_in_the_middle, spark=spark, num_workers=2, **NO_TIMEOUTS) as cluster,
    ):
        cluster.inference(spark.range(0, 100_000, 1, 4)).collect()
    assert caught.value.node == "worker:0"
    assert "the third weight is odd" in caught.value.message
    assert caught.value.__cause__ is not None  # what Spark said


def test_main_replies_what_the_schema_does_not_say(spark):
    with (
        pytest.raises(errors.MissingColumnError, match="the reply lacks column 'label'"),
        tsm.Cluster(double, spark=spark, num_workers=2) as cluster,
    ):
        cluster.inference(spark.range(100), "label long").collect()


@pytest.mark.full
def test_main_returns_in_the_middle(spark):
    with (
        pytest.raises(errors.InferenceError, match=r"returned on .* while Spark still asked"),
        tsm.Cluster(stop_in_the_middle, spark=spark, num_workers=2) as cluster,
    ):
        cluster.inference(spark.range(0, 1000, 1, 2)).collect()


@pytest.mark.full
def test_results_are_asked_for_too_late(spark):
    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        results = cluster.inference(spark.range(10), "prediction long")
    assert cluster.results == [0, 0]
    with pytest.raises(Exception, match="inside the with block"):
        results.collect()
    with pytest.raises(errors.ConfigurationError, match="is not running"):
        cluster.inference(spark.range(10))


def test_what_cannot_work(spark):
    with tsm.Cluster(double, spark=spark, num_workers=2) as cluster:
        with pytest.raises(errors.MissingColumnError, match="no column 'key' in the DataFrame"):
            cluster.inference(spark.range(10), keep=["key"])
        with pytest.raises(
            errors.ConfigurationError, match="'id' is both in keep and in the schema"
        ):
            cluster.inference(spark.range(10), "id long", keep=["id"])
        with pytest.raises(errors.ConfigurationError, match="must be names and types of columns"):
            cluster.inference(spark.range(10), "float")
        with pytest.raises(
            errors.ConfigurationError, match="schema='x flot' is not a valid schema"
        ):
            cluster.inference(spark.range(10), "x flot")
        with pytest.raises(errors.ConfigurationError, match="no columns to keep"):
            cluster.inference(spark.sparkContext.parallelize([1]), keep=["id"])
    with (
        pytest.raises(errors.ConfigurationError, match="no task slot"),
        tsm.Cluster(double, spark=spark, num_workers=2, fed=False) as cluster,
    ):
        cluster.inference(spark.range(10))


def vanish(args, ctx):
    """Stop the agent, as if its host were gone, until the test has seen what follows."""
    next(iter(ctx.inference(batch_size=10)))
    if ctx.rank == 1:
        os.kill(os.getppid(), signal.SIGSTOP)
        while not Path(args, "seen").exists():
            threading.Event().wait(0.05)
        os.kill(os.getppid(), signal.SIGCONT)
    threading.Event().wait()


def test_a_node_vanishes_while_a_task_waits_for_it(spark, tmp_path):
    with (
        pytest.raises(errors.AgentLostError) as caught,
        tsm.Cluster(
            vanish, str(tmp_path), spark=spark, num_workers=2, lease_seconds=6.0
        ) as cluster,
    ):
        try:
            cluster.inference(spark.range(0, 1000, 1, 2)).collect()
        finally:  # the task does not wait for an answer that cannot come
            (tmp_path / "seen").touch()
    assert caught.value.node == "worker:0"


def train_and_answer(args, ctx):
    import keras

    with ctx.strategy.scope():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(ctx.dataset(batch_size=50, features="x", label="y"), epochs=40)
    # A model of its own on each node, which asks no other node for anything.
    local = keras.models.clone_model(model)
    local.set_weights(model.get_weights())
    for batch in ctx.inference(batch_size=32, columns=["x"]):
        batch.reply({"prediction": local.predict_on_batch(batch["x"])})
    return float(local.predict_on_batch(keras.ops.ones((1, 1)))[0, 0])


def test_train_then_inference(spark):
    rows = spark.range(0, 1000, 1, 4).selectExpr(
        "id", "float(id) / 1000 x", "2 * float(id) / 1000 + 1 y"
    )
    with tsm.Cluster(train_and_answer, spark=spark, num_workers=2) as cluster:
        cluster.train(rows, epochs=40)
        found = cluster.inference(rows, keep=["id", "y"]).collect()
    assert [row.id for row in found] == list(range(1000))
    assert max(abs(row.prediction - row.y) for row in found) < 0.1
    assert cluster.results[0] == cluster.results[1] == pytest.approx(3.0, abs=0.1)
