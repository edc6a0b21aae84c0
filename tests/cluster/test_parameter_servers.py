"""Parameter servers: fed DataFrames and files reach the steps that workers run."""

import numpy as np
import pytest

import tensorsparkml as tsm

ROWS = 1000


@pytest.fixture
def table(spark):
    return spark.range(ROWS, numPartitions=5).selectExpr(
        "id",
        "cast(id * 617 % 1000 / 500 - 1 as float) as x",
        "cast(3 * (id * 617 % 1000 / 500 - 1) + 1 as float) as y",
        "array_repeat(cast(id as int), cast(id % 3 as int)) as many",
        "concat('row ', id) as name",
    )


def read_rows(args, ctx):
    """Read two passes of a fed DataFrame, and tell which worker's step had which rows."""
    import tensorflow as tf

    strategy = ctx.strategy
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    dataset = coordinator.create_per_worker_dataset(
        lambda: ctx.dataset(
            batch_size=64,
            features={"many": "many", "name": "name", "x": "x"},
            label=["id", "y"],
            convert={"many": tsm.Column(shape=(None,))},
        ).map(lambda x, y: (x["many"].to_tensor(shape=[None, 2]), x["name"], x["x"], y))
    )

    @tf.function
    def step(iterator):
        optional = iterator.get_next_as_optional()
        if not optional.has_value():
            empty = tf.zeros([0])
            return False, tf.zeros([0, 2], tf.int32), tf.zeros([0], tf.string), empty, empty
        many, name, x, (ids, _) = optional.get_value()
        return True, many, name, x, tf.cast(ids, tf.float32)

    found = []
    for _ in range(2):
        iterator = iter(dataset)
        rows = []
        while True:
            results = [coordinator.schedule(step, args=(iterator,)) for _ in range(4)]
            fetched = [result.fetch() for result in results]
            rows += [part[1:] for part in fetched if part[0]]
            if not any(part[0] for part in fetched):
                break
        found.append([np.concatenate(column) for column in zip(*rows, strict=True)])
    return found


def test_every_row_of_a_dataframe_reaches_one_step_of_a_worker_in_each_pass(spark, table):
    with tsm.Cluster(read_rows, spark=spark, num_workers=3, num_ps=1) as cluster:
        cluster.train(table, epochs=2)
    (passes,) = cluster.results
    for many, names, x, ids in passes:
        order = np.argsort(ids)
        assert ids[order].astype(int).tolist() == list(range(ROWS))
        assert [name.decode() for name in names[order]] == [f"row {row}" for row in range(ROWS)]
        assert x[order] == pytest.approx(np.arange(ROWS) * 617 % 1000 / 500 - 1)
        assert many[order].tolist() == [
            [row] * (row % 3) + [0] * (2 - row % 3) for row in range(ROWS)
        ]


EPOCHS = 3


def build(optimizer):
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    chosen = {"sgd": keras.optimizers.SGD(0.05), "adam": keras.optimizers.Adam(0.01)}[optimizer]
    model.compile(chosen, "mse", metrics=["mae"])
    return model


def fit_on_workers(folder, ctx):
    """Fit a model for each optimizer, with a checkpoint after each epoch."""
    found = {}
    with ctx.strategy.scope():
        models = {optimizer: build(optimizer) for optimizer in ("sgd", "adam")}
    for optimizer, model in models.items():
        found[optimizer] = ctx.asynchronous_fit(
            model,
            lambda: ctx.dataset(batch_size=64, features=["x"], label="y").map(
                lambda x, y: (x[0][:, None], y)
            ),
            epochs=EPOCHS,
            validation=lambda: ctx.dataset("validation", batch_size=64, features="x", label="y"),
            callbacks=ctx.callbacks(checkpoint=f"{folder}/{optimizer}-{{epoch}}.keras"),
        ).history
    devices = {
        variable.value.device.partition("/device")[0]
        for model in models.values()
        for variable in (*model.variables, *model.optimizer.variables)
    }
    return found, sorted(devices)


def fit_alone(ids, ctx):
    """Train in one process, on the batches that the worker had, without anything of the library."""
    import tensorflow as tf

    def dataset(batches):
        def elements():
            for batch in batches:
                x = np.asarray(batch) * 617 % 1000 / 500 - 1
                yield x.astype(np.float32)[:, None], (3 * x + 1).astype(np.float32)

        signature = (tf.TensorSpec([None, 1], tf.float32), tf.TensorSpec([None], tf.float32))
        return tf.data.Dataset.from_generator(elements, output_signature=signature)

    return {
        optimizer: build(optimizer)
        .fit(
            dataset(ids["train"]),
            validation_data=dataset(ids["holdout"]),
            epochs=EPOCHS,
            verbose=0,
        )
        .history
        for optimizer in ("sgd", "adam")
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_keras_3_trains_on_parameter_servers(spark, table, tmp_path, workers):
    table = table.select("id", "x", "y").coalesce(1)
    holdout = table.where("id % 10 = 0")
    with tsm.Cluster(
        fit_on_workers, str(tmp_path), spark=spark, num_workers=workers + 1, num_ps=4 - 1 - workers
    ) as cluster:
        report = cluster.train(table, validation=holdout, epochs=2 * EPOCHS)
    assert report.rows == ROWS
    ((found, devices),) = cluster.results
    assert devices == [f"/job:ps/replica:0/task:{index}" for index in range(3 - workers)]
    assert len(list(tmp_path.iterdir())) == 2 * EPOCHS
    for history in found.values():
        assert sorted(history) == ["loss", "mae", "val_loss", "val_mae"]
        assert history["loss"][-1] < history["loss"][0]
    if workers == 1:
        order = [list(range(ROWS)), list(range(0, ROWS, 10))]
        ids = {
            name: [rows[start : start + 64] for start in range(0, len(rows), 64)]
            for name, rows in zip(("train", "holdout"), order, strict=True)
        }
        (alone,) = tsm.run(fit_alone, ids, spark=spark, num_workers=1)
        for optimizer, history in alone.items():
            for name, values in history.items():
                assert found[optimizer][name] == pytest.approx(values, rel=1e-5), (optimizer, name)
