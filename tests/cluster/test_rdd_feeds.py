"""RDDs of every kind of row reach the nodes, each row once."""

import itertools
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from node_processes import wait_until

import tensorsparkml as tsm
from tensorsparkml import errors

ROWS = 500


def read_all(args, ctx):
    """Return, by feed, the columns with dtype and shape of a row, and the numbers."""
    found = {}
    for name, key in args:
        feed, columns, numbers = ctx.feed(name), {}, []
        while not feed.should_stop():
            batch = feed.next_batch(64)
            columns = {name: (str(a.dtype), a.shape[1:]) for name, a in batch.items()}
            numbers += [float(np.ravel(value)[0]) for value in batch[key]]
        found[name] = columns, numbers
    return found


def kinds():
    """How a row is made, the columns that are named, the one with the number, and all columns.

    The functions are made here, because executors do not have this module.
    """
    labelled = namedtuple("Labelled", ["image", "number"])

    def image(number):
        return np.full((2, 3), number, "float32")

    def make_row(number):
        from pyspark.sql import Row

        return Row(image=[float(number)] * 4, number=number)

    whole, half, picture = ("int64", ()), ("float64", ()), ("float32", (2, 3))
    return {
        "tuples": (lambda n: (n, n / 2), None, "_1", {"_1": whole, "_2": half}),
        "lists": (lambda n: [n, True], None, "_1", {"_1": whole, "_2": ("bool", ())}),
        "named columns": (
            lambda n: (image(n), "a"),
            ["image", "name"],
            "image",
            {"image": picture, "name": ("object", ())},
        ),
        "dicts": (
            lambda n: {"number": n, "x": [0.5, n]},
            None,
            "number",
            {"number": whole, "x": ("float64", (2,))},
        ),
        "Rows": (make_row, None, "number", {"image": ("float64", (4,)), "number": whole}),
        "named tuples": (
            lambda n: labelled(image(n), n),
            ["number"],
            "number",
            {"number": whole},
        ),
        "arrays": (image, None, "value", {"value": picture}),
        "numbers": (lambda n: np.int32(n), None, "value", {"value": ("int32", ())}),
    }


def test_every_kind_of_row(spark):
    numbers = spark.sparkContext.parallelize(range(ROWS), 3)
    rows = kinds()
    args = [(kind, key) for kind, (_, _, key, _) in rows.items()]
    with tsm.Cluster(read_all, args, spark=spark, num_workers=2) as cluster:
        for kind, (make, columns, _, _) in rows.items():
            report = cluster.train(numbers.map(make), feed=kind, columns=columns)
            assert report.complete
            assert report.rows == ROWS
            assert max(report.rows_per_node) - min(report.rows_per_node) <= 1
    for kind, (_, _, _, expected) in rows.items():
        assert [result[kind][0] for result in cluster.results] == [expected] * 2, kind
        found = itertools.chain(*(result[kind][1] for result in cluster.results))
        assert sorted(found) == list(range(ROWS)), kind


def fit(args, ctx):
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(1))
        model.compile("sgd", "mse")
    columns = {"batch_size": 16, "features": "image", "label": "number"}
    history = model.fit(
        ctx.dataset(**columns), validation_data=ctx.dataset("validation", **columns), verbose=0
    )
    return sorted(history.history)


def test_keras_fits_with_arrays_of_an_rdd(spark):
    def make(number):
        return np.full((2, 3), number / 100, "float32"), number / 100

    rows = spark.sparkContext.parallelize(range(100), 4).map(make)
    with tsm.Cluster(fit, spark=spark, num_workers=2) as cluster:
        cluster.train(rows, validation=rows, columns=["image", "number"])
    assert cluster.results == [["loss", "val_loss"]] * 2


def test_columns_of_a_dataframe(spark):
    data = spark.range(10).selectExpr("id", "id * 2 twice", "named_struct('a', 1) no_tensor")
    with tsm.Cluster(read_all, [("train", "twice")], spark=spark) as cluster:
        cluster.train(data, columns=["twice"])
    [result] = cluster.results
    columns, numbers = result["train"]
    assert columns == {"twice": ("int64", ())}
    assert sorted(numbers) == [2 * n for n in range(10)]


def test_a_row_that_does_not_fit_is_named(spark):
    def make(number):
        return (number, [0.5] if number < 300 else "half")

    rows = spark.sparkContext.parallelize(range(400), 2).map(make)
    with (
        pytest.raises(
            errors.UnsupportedColumnError,
            match=r"column '_2' of row 100 of partition 1 holds the str 'half'",
        ),
        tsm.Cluster(read_all, [("train", "_1")], spark=spark, num_workers=2) as cluster,
    ):
        cluster.train(rows)


def test_an_exception_in_the_rdd(spark):
    rows = spark.sparkContext.parallelize(range(400), 2).map(lambda number: 1 / (number - 300))
    with (
        pytest.raises(errors.FeedError, match="ZeroDivisionError"),
        tsm.Cluster(read_all, [("train", "value")], spark=spark, num_workers=2) as cluster,
    ):
        cluster.train(rows)


def read_one_after_the_other(args, ctx):
    rows = []
    for name in args:
        feed = ctx.feed(name)
        while not feed.should_stop():
            rows += feed.next_batch(50)["value"].tolist()
        feed.terminate()
    return rows


def test_what_no_node_wants_is_deleted_while_the_cluster_runs(spark):
    with tsm.Cluster(
        read_one_after_the_other, ["first", "second"], spark=spark, num_workers=2
    ) as cluster:
        spools = [Path(peer.spool) for peer in cluster._running.coordinator.readers()]
        rows = spark.sparkContext.parallelize(range(400), 4)
        cluster.train(rows, feed="first", epochs=2)
        assert wait_until(
            lambda: all(path.exists() and not list(path.iterdir()) for path in spools)
        )
        cluster.train(rows, feed="second")
    assert sorted(itertools.chain(*cluster.results)) == sorted([*range(400)] * 3)


def stop_early(args, ctx):
    feed = ctx.feed()
    feed.next_batch(10)
    feed.terminate()


def test_a_program_that_stops_early_cancels_the_job(spark):
    def rows(partition, _):
        if partition == 0:
            return iter(range(100))
        return itertools.count()  # never ends

    endless = spark.sparkContext.parallelize(range(2), 2).mapPartitionsWithIndex(rows)
    with tsm.Cluster(stop_early, spark=spark, num_workers=2) as cluster:
        report = cluster.train(endless)
    assert not report.complete
    assert report.rows == 100
    tracker = spark.sparkContext.statusTracker()
    assert wait_until(lambda: not tracker.getActiveJobsIds())


@pytest.mark.parametrize("kind", ["rdd", "stream"])
def test_what_launch_tasks_cannot_deliver(spark, kind):
    data = {
        "rdd": lambda: spark.sparkContext.parallelize([1]),
        "stream": lambda: spark.readStream.format("rate").load(),
    }[kind]()
    with pytest.raises(errors.ConfigurationError, match=r"cluster\.train\(rdd\)"):
        tsm.Cluster(read_all, spark=spark, direct=data)


def test_one_call_feeds_whatever_there_is(spark):
    both = tsm.run(
        read_all,
        [("train", "id"), ("validation", "id")],
        spark=spark,
        num_workers=2,
        data=spark.sparkContext.parallelize([(n, -n) for n in range(20)], 3),
        validation=spark.range(6).selectExpr("id", "0.5 as more", "id + 2 as most"),
        columns=["id", "more"],
    )
    for feed, rows in {"train": 20, "validation": 6}.items():
        shares = [found[feed] for found in both]
        assert all(set(columns) == {"id", "more"} for columns, _ in shares)
        assert [len(numbers) for _, numbers in shares] == [rows // 2] * 2
        assert sorted(itertools.chain(*(numbers for _, numbers in shares))) == list(range(rows))


@pytest.mark.full
def test_one_call_with_a_seed(spark):
    options = {"spark": spark, "num_workers": 2, "data": spark.range(100), "shuffle": True}
    runs = [tsm.run(read_all, [("train", "id")], seed=seed, **options) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda spark: {"validation": spark.range(3)}, "pass data="),
        (lambda spark: {"data": {1: 2}}, "a Spark DataFrame or an RDD, not a dict"),
        (lambda spark: {"data": spark.range(3), "validation": 3}, "an RDD, not a int"),
        (lambda spark: {"data": spark.readStream.format("rate").load()}, r"train_stream\(df\)"),
    ],
)
def test_one_call_refuses_before_nodes_are_started(spark, make, message):
    with pytest.raises(errors.ConfigurationError, match=message) as caught:
        tsm.run(read_all, [], spark=spark, **make(spark))
    assert "__enter__" not in [frame.name for frame in caught.traceback]


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda spark: {1: 2}, {}, "a Spark DataFrame or an RDD, not a dict"),
        (lambda spark: spark.readStream.format("rate").load(), {}, r"train_stream\(df\)"),
        (lambda spark: spark.range(3), {"columns": "id"}, "list of different names, not 'id'"),
        (lambda spark: spark.range(3), {"columns": ["id", "id"]}, "list of different names"),
    ],
)
def test_what_cannot_be_fed(spark, make, options, message):
    with (
        pytest.raises(errors.ConfigurationError, match=message),
        tsm.Cluster(read_all, [], spark=spark) as cluster,
    ):
        cluster.train(make(spark), **options)
