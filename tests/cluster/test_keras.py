"""Keras on several nodes fed by Spark computes what one process computes."""

import numpy as np
import pytest

import tensorsparkml as tsm

BATCH = 64
CASES = {
    "adam": {"optimizer": "adam", "normalized": False},
    "momentum": {"optimizer": "momentum", "normalized": False},
    "batch normalization": {"optimizer": "adam", "normalized": True},
}
EPOCHS = 3
COUNTS = {"even": 1280, "odd": 1001}  # rows of each feed
FEEDS = [("even", None), ("odd", None), ("odd", True)]  # each with or without sample weights


def build(case):
    import keras

    keras.utils.set_random_seed(3)
    layers = [keras.Input((6,)), keras.layers.Dense(16, activation="tanh")]
    if case["normalized"]:
        layers.append(keras.layers.BatchNormalization())
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    optimizer = (
        keras.optimizers.Adam(0.01)
        if case["optimizer"] == "adam"
        else keras.optimizers.SGD(0.05, momentum=0.9)
    )
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def train(case, dataset):
    model = build(case)
    history = model.fit(dataset, epochs=EPOCHS, verbose=0).history
    evaluated = model.evaluate(dataset, verbose=0, return_dict=True)
    return history, evaluated, model.get_weights()


def train_on_nodes(args, ctx):
    """Train every case on every feed, and say which rows were in which batch."""
    found = {}
    with ctx.strategy.scope():
        for feed, weighted in FEEDS:
            rows = ctx.dataset(feed, batch_size=BATCH, features="id")
            batches = [ctx.strategy.experimental_local_results(batch)[0].numpy() for batch in rows]
            data = {"batch_size": BATCH, "features": "x", "label": "y", "sample_weight": weighted}
            trained = {name: train(case, ctx.dataset(feed, **data)) for name, case in CASES.items()}
            found[feed, weighted] = batches, trained
    return found


def train_alone(args, ctx):
    """Train every case in one process on given rows, without anything of this library."""
    import tensorflow as tf

    found = {}
    for feed, rows in args.items():
        dataset = tf.data.Dataset.from_tensor_slices(rows).batch(2 * BATCH)
        found[feed] = {name: train(case, dataset) for name, case in CASES.items()}
    return found


def make_rows(count):
    random = np.random.default_rng(5)
    features = random.normal(size=(count, 6)).astype(np.float32)
    labels = (features.sum(1) + random.normal(size=count) / 10).astype(np.float32)
    return features, labels


@pytest.fixture(scope="module")
def trained(spark):
    """What two nodes found for each feed, weighted or not, and one process for the same batches."""
    import pyarrow as pa

    rows = {feed: make_rows(count) for feed, count in COUNTS.items()}
    tables = {
        feed: spark.createDataFrame(
            pa.table({"id": np.arange(len(labels)), "x": list(features), "y": labels})
        )
        for feed, (features, labels) in rows.items()
    }
    with tsm.Cluster(train_on_nodes, spark=spark, num_workers=2) as cluster:
        for feed, table in tables.items():
            cluster.train(table, feed=feed)
    nodes, others = cluster.results
    orders = {}
    for feed, weighted in FEEDS:
        pairs = zip(nodes[feed, weighted][0], others[feed, weighted][0], strict=True)
        order = np.concatenate([part for pair in pairs for part in pair])
        assert sorted(order) == list(range(COUNTS[feed]))
        np.testing.assert_array_equal(orders.setdefault(feed, order), order)
    ordered = {feed: tuple(part[orders[feed]] for part in rows[feed]) for feed in rows}
    [alone] = tsm.run(train_alone, ordered, spark=spark)
    return nodes, others, alone


def deviation(found, expected):
    """Largest difference, relative to the largest value of each array."""
    return max(
        np.max(np.abs(np.subtract(a, b))) / np.max(np.abs(b))
        for a, b in zip(found, expected, strict=True)
    )


def deviations(trained, alone):
    history, evaluated, weights = trained
    expected_history, expected_evaluated, expected_weights = alone
    assert history.keys() == expected_history.keys() == {"loss", "mae"}
    return {
        "history": deviation([history[k] for k in history], [expected_history[k] for k in history]),
        "evaluated": deviation(
            [evaluated[k] for k in evaluated], [expected_evaluated[k] for k in evaluated]
        ),
        "weights": deviation(weights, expected_weights),
    }


@pytest.mark.parametrize(("feed", "weighted"), FEEDS)
def test_two_nodes_equal_one_process(trained, feed, weighted):
    nodes, others, alone = trained
    for name, case in CASES.items():
        mine = nodes[feed, weighted][1][name]
        np.testing.assert_equal(mine[0], others[feed, weighted][1][name][0])  # histories
        found = deviations(mine, alone[feed][name])
        if case["normalized"]:
            # Each node normalizes by the statistics of its own half of a batch, as Keras does
            # under every strategy, so the model learns a little differently.
            assert max(found["history"], found["evaluated"]) < 0.05, found
        else:
            assert max(found.values()) < 1e-5, (name, found)


def fit_row_by_row(ctx, path):
    """Train on five rows, one a step on each of two nodes, and return whether all is finite."""
    import keras

    with ctx.strategy.scope():
        layers = [keras.layers.Dense(2), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((1,)), *layers])
        model.compile("sgd", "mse")
    rows = ctx.read_parquet(path, batch_size=1, features=tsm.Matrix(["x"]), label="x")
    history = model.fit(rows, epochs=2, verbose=0).history
    numbers = [history["loss"], *model.get_weights()]
    return all(np.isfinite(found).all() for found in numbers), int(model.optimizer.iterations)


def use_keras_features(args, ctx):
    import keras

    keras.utils.set_random_seed(1)
    with ctx.strategy.scope():
        inputs = {name: keras.Input((), name=name) for name in ("a", "b")}
        joined = keras.layers.Concatenate()(
            [keras.layers.Reshape((1,))(tensor) for tensor in inputs.values()]
        )
        model = keras.Model(inputs, keras.layers.Dense(1)(joined))
        model.compile(
            "sgd", "mse", metrics=["mae"], weighted_metrics=["mse"], steps_per_execution=3
        )
    fed = {"batch_size": 16, "features": {"a": "a", "b": "b"}, "label": "y"}
    history = model.fit(
        ctx.dataset(**fed, sample_weight="w"),
        validation_data=ctx.dataset(**fed),
        epochs=2,
        callbacks=ctx.callbacks(
            checkpoint=args + "/model.keras", backup=args + "/backup", tensorboard=True
        ),
        verbose=0,
    ).history
    weighted = model.fit(
        ctx.dataset(**fed), class_weight={0: 1.0, 1: 2.0}, epochs=1, verbose=0
    ).history
    predicted = model.predict(ctx.dataset(batch_size=16, features={"a": "a", "b": "b"}), verbose=0)
    path = ctx.export(model, args + "/exported")
    return history, weighted, predicted.shape, path, fit_row_by_row(ctx, args + "/five.parquet")


@pytest.mark.full
def test_what_keras_offers(spark, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": pa.array(range(5), pa.float32())}), tmp_path / "five.parquet")
    data = spark.range(500).selectExpr(
        "cast(id % 7 as float) a",
        "cast(id % 3 as float) b",
        "cast(id % 2 as float) y",
        "cast(id % 5 as float) w",
    )
    results = tsm.run(
        use_keras_features,
        str(tmp_path),
        spark=spark,
        num_workers=2,
        data=data,
        log_dir=str(tmp_path / "logs"),
    )
    np.testing.assert_equal(results[0], results[1])
    history, weighted, shape, path, row_by_row = results[0]
    assert set(history) == {"loss", "mae", "mse", "val_loss", "val_mae", "val_mse"}
    assert all(np.isfinite(values).all() and len(values) == 2 for values in history.values())
    assert np.isfinite(weighted["loss"]).all()
    assert shape == (500, 1)
    assert row_by_row == (True, 2 * 2)
    assert path == str(tmp_path / "exported")
    assert (tmp_path / "model.keras").exists()
    assert list((tmp_path / "logs").rglob("events.out.tfevents*"))
    # The chief alone wrote, so there is one folder of training events.
    assert len(list((tmp_path / "logs").glob("train*"))) == 1

    predicted = tsm.predict(data, path, features={"a": "a", "b": "b"})
    assert predicted.columns == [*data.columns, "prediction"]
    predicted.write.parquet(str(tmp_path / "predicted"))
    rows = pq.read_table(tmp_path / "predicted").to_pylist()
    assert len(rows) == 500
    by_input = {(row["a"], row["b"]): row["prediction"] for row in rows}
    assert len(by_input) == 21
