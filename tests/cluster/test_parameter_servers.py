"""Parameter servers: fed DataFrames and files reach the steps that workers run."""

import numpy as np
import pytest

import tensorsparkml as tsm
from tensorsparkml import errors

ROWS = 1000
EPOCHS = 3
OPTIMIZERS = ("sgd", "adam")


@pytest.fixture
def table(spark):
    x = "id * 617 % 1000 / 500 - 1"
    return spark.range(ROWS, numPartitions=5).selectExpr(
        "id",
        f"cast({x} as float) as x",
        f"cast(3 * ({x}) + 1 as float) as y",
        "array_repeat(cast(id as int), cast(id % 3 as int)) as many",
        "concat('row ', id) as name",
    )


def read_rows(args, ctx):
    """Read two passes of a fed DataFrame, each in two steps more than there are batches."""
    import tensorflow as tf

    coordinator = tf.distribute.coordinator.ClusterCoordinator(ctx.strategy)
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
            if sum(len(part[-1]) for part in rows) == args:
                break
        found.append([np.concatenate(column) for column in zip(*rows, strict=True)])
    return found


def test_every_row_of_a_dataframe_reaches_one_step_of_a_worker_in_each_pass(spark, table):
    with tsm.Cluster(read_rows, ROWS, spark=spark, num_workers=3, num_ps=1) as cluster:
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


def build(optimizer):
    import keras

    keras.utils.set_random_seed(3)
    layers = [
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.BatchNormalization(momentum=0.8),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((1,)), *layers])
    chosen = {"sgd": keras.optimizers.SGD(0.05), "adam": keras.optimizers.Adam(0.01)}[optimizer]
    model.compile(chosen, "mse", metrics=["mae"])
    return model


def fit_on_workers(folder, ctx):
    """Fit a model for each optimizer, with a checkpoint after each epoch."""
    import tensorflow as tf

    def column(x, y):
        return x[:, tf.newaxis], y

    columns = {"batch_size": 64, "features": "x", "label": "y", "transform": column}
    found = {}
    with ctx.strategy.scope():
        models = {optimizer: build(optimizer) for optimizer in OPTIMIZERS}
    for optimizer, model in models.items():
        found[optimizer] = ctx.asynchronous_fit(
            model,
            lambda: ctx.dataset(**columns),
            epochs=EPOCHS,
            validation=lambda: ctx.dataset("validation", **columns),
            callbacks=ctx.callbacks(checkpoint=f"{folder}/{optimizer}-{{epoch}}.keras"),
        ).history
    devices = {
        variable.value.device.partition("/device")[0]
        for model in models.values()
        for variable in (*model.variables, *model.optimizer.variables)
    }
    return found, sorted(devices)


def fit_alone(batches, ctx):
    """Train in one process, on the batches that the worker had, without anything of the library."""
    import tensorflow as tf

    def dataset(name):
        def elements():
            for ids in batches[name]:
                x = np.asarray(ids) * 617 % 1000 / 500 - 1
                yield x.astype(np.float32)[:, None], (3 * x + 1).astype(np.float32)

        signature = (tf.TensorSpec([None, 1], tf.float32), tf.TensorSpec([None], tf.float32))
        found = tf.data.Dataset.from_generator(elements, output_signature=signature)
        # Where Keras's fit must find the end, it counts one step more, which changes Adam's next.
        return found.apply(tf.data.experimental.assert_cardinality(len(batches[name])))

    return {
        optimizer: build(optimizer)
        .fit(dataset("train"), validation_data=dataset("validation"), epochs=EPOCHS, verbose=0)
        .history
        for optimizer in OPTIMIZERS
    }


def train_through_servers(spark, table, folder, workers):
    """Return the histories and the devices of the variables."""
    rows = table.select("id", "x", "y").coalesce(1)
    with tsm.Cluster(
        fit_on_workers, str(folder), spark=spark, num_workers=workers + 1, num_ps=3 - workers
    ) as cluster:
        report = cluster.train(rows, validation=rows.where("id % 10 = 0"), epochs=2 * EPOCHS)
    assert report.rows == ROWS
    [(histories, devices)] = cluster.results
    assert devices == [f"/job:ps/replica:0/task:{index}" for index in range(3 - workers)]
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{optimizer}-{epoch}.keras"
        for optimizer in sorted(OPTIMIZERS)
        for epoch in range(1, EPOCHS + 1)
    ]
    return histories


@pytest.mark.full
def test_keras_3_with_one_worker_computes_what_one_process_computes(spark, table, tmp_path):
    found = train_through_servers(spark, table, tmp_path, workers=1)
    ids = {"train": list(range(ROWS)), "validation": list(range(0, ROWS, 10))}
    batches = {
        name: [rows[start : start + 64] for start in range(0, len(rows), 64)]
        for name, rows in ids.items()
    }
    (alone,) = tsm.run(fit_alone, batches, spark=spark, num_workers=1)
    assert set(alone["adam"]) == {"loss", "mae", "val_loss", "val_mae"}
    for optimizer in OPTIMIZERS:
        assert set(found[optimizer]) == set(alone[optimizer])
        for name, values in alone[optimizer].items():
            assert found[optimizer][name] == pytest.approx(values, rel=1e-5, abs=1e-5), name


@pytest.mark.full
def test_keras_3_learns_with_two_workers(spark, table, tmp_path):
    found = train_through_servers(spark, table, tmp_path, workers=2)
    for history in found.values():
        assert len(history["loss"]) == EPOCHS
        assert history["loss"][-1] < history["loss"][0]
        assert history["val_loss"][-1] < history["val_loss"][0]


def count_rows(uri, ctx):
    """How often each row of the feed, and of the files, was in a step, in two passes each."""
    import tensorflow as tf

    with ctx.strategy.scope():
        steps = tf.Variable(0, dtype=tf.int64)

    def step(ids):
        steps.assign_add(1)
        seen = tf.math.unsorted_segment_sum(tf.ones_like(ids), ids, ROWS)
        return {"seen": seen, "rows": tf.shape(ids)[0]}

    makers = [
        lambda: ctx.dataset(batch_size=64, features="id"),
        lambda: ctx.read_parquet(uri, batch_size=64, features="id", shuffle=True),
    ]
    passes = [ctx.asynchronous_passes(step, make) for make in makers]
    return [each.run() for each in passes for _ in range(2)], int(steps)


@pytest.mark.full
def test_workers_read_each_row_once_in_a_pass(spark, table, tmp_path):
    uri = str(tmp_path / "table")
    table.select("id").write.parquet(uri)
    with tsm.Cluster(count_rows, uri, spark=spark, num_workers=3, num_ps=1) as cluster:
        cluster.train(table.select("id"), epochs=2)
    [(passes, steps)] = cluster.results
    for sums in passes:
        assert sums["rows"] == ROWS
        assert sums["seen"].tolist() == [1] * ROWS
    assert steps == 4 * 2 * 8  # passes, workers, batches of 500 rows


def first_rows_of_batches(args, ctx):
    """The first row of every batch, step by step, in six passes of two datasets of one feed."""
    import tensorflow as tf

    with ctx.strategy.scope():
        steps = tf.Variable(0, dtype=tf.int64)

    def step(ids):
        number = steps.read_value() % 16
        steps.assign_add(1)
        return {"first": ids[0] * tf.one_hot(number, 16, dtype=tf.int64)}

    found = []
    for _ in range(2):
        passes = ctx.asynchronous_passes(step, lambda: ctx.dataset(batch_size=64, features="id"))
        found += [passes.run()["first"].tolist() for _ in range(3)]
    return found


@pytest.mark.full
def test_one_worker_has_the_same_batches_in_every_pass(spark, table):
    with tsm.Cluster(first_rows_of_batches, spark=spark, num_workers=2, num_ps=2) as cluster:
        cluster.train(table.select("id").coalesce(1), epochs=6)
    assert cluster.results == [[list(range(0, ROWS, 64))] * 6]


def learn_table(args, ctx):
    """Learn a row of a table for each id: one step of the right size, for what is read once."""
    import tensorflow as tf

    partitioner = tf.distribute.experimental.partitioners.FixedShardsPartitioner(2)
    with ctx.parameter_server_strategy(partitioner).scope():
        table = tf.Variable(tf.zeros([ROWS, 1]))

    def step(batch):
        ids, y = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((tf.nn.embedding_lookup(table, ids)[:, 0] - y) ** 2)
        gradients = tape.gradient(loss, table.variables)
        for shard, gradient in zip(table.variables, gradients, strict=True):
            tf.raw_ops.ResourceScatterSub(
                resource=shard.handle, indices=gradient.indices, updates=0.5 * gradient.values
            )
        return {"loss": loss}

    passes = ctx.asynchronous_passes(
        step, lambda: ctx.dataset(batch_size=64, features="id", label="y")
    )
    losses = [float(passes.run()["loss"]) for _ in range(2)]
    learned = np.concatenate([shard.numpy()[:, 0] for shard in table.variables])
    return losses, learned.tolist(), [shard.device for shard in table.variables]


@pytest.mark.full
def test_workers_learn_a_table_that_is_cut_into_shards(spark, table):
    with tsm.Cluster(learn_table, spark=spark, num_workers=2, num_ps=2) as cluster:
        cluster.train(table.select("id", "y"), epochs=2)
    [(losses, learned, devices)] = cluster.results
    assert learned == pytest.approx(3 * (np.arange(ROWS) * 617 % 1000 / 500 - 1) + 1, abs=1e-5)
    assert losses[0] > 1 and losses[1] == pytest.approx(0.0, abs=1e-6)
    assert [device.partition("/device")[0] for device in devices] == [
        f"/job:ps/replica:0/task:{index}" for index in range(2)
    ]


def sum_up(args, ctx):
    ctx.asynchronous_passes(
        lambda batch: {"sum": batch["x"][0]}, lambda: ctx.dataset(batch_size=64)
    ).run()


def test_an_error_in_a_workers_rows_reaches_the_driver(spark, table):
    rows = table.selectExpr("if(id = 250, null, x) as x").coalesce(1)
    with (
        pytest.raises(errors.NullValueError, match="row 250 of partition 0") as caught,
        tsm.Cluster(sum_up, spark=spark, num_workers=2, num_ps=1) as cluster,
    ):
        cluster.train(rows)
    assert caught.value.node == "worker:0"


def ask_in_vain(args, ctx):
    """What the chief of such a cluster cannot have, and why."""
    import keras

    found = []
    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    asked = [
        lambda: ctx.feed(),
        lambda: ctx.asynchronous_fit(model, lambda: ctx.dataset(batch_size=8)),
        lambda: ctx.parameter_server_strategy(),
    ]
    for ask in asked:
        try:
            ask()
        except errors.ConfigurationError as error:
            found.append(error.message)
    return found


@pytest.mark.full
def test_what_the_chief_cannot_have_is_explained(spark):
    [found] = tsm.run(ask_in_vain, spark=spark, num_workers=2, num_ps=1)
    feed, fit, strategy = found
    assert "are on the workers" in feed
    assert "call model.compile(...)" in fit
    assert "already has its strategy" in strategy


def fit_in_shards(args, ctx):
    import keras
    import tensorflow as tf

    partitioner = tf.distribute.experimental.partitioners.FixedShardsPartitioner(2)
    with ctx.parameter_server_strategy(partitioner).scope():
        model = keras.Sequential([keras.layers.Dense(1)])  # not built yet
        model.compile("sgd", "mse")
    ctx.asynchronous_fit(model, lambda: ctx.dataset(batch_size=8, features="many", label="y"))


@pytest.mark.full
def test_keras_3_variables_in_shards_are_refused(spark):
    rows = spark.range(20).selectExpr("array_repeat(float(id), 4) as many", "float(id) as y")
    with (
        pytest.raises(errors.ConfigurationError, match="split into shards") as caught,
        tsm.Cluster(fit_in_shards, spark=spark, num_workers=2, num_ps=2) as cluster,
    ):
        cluster.train(rows)
    assert "ctx.asynchronous_passes" in caught.value.message


def fit_keras_2(args, ctx):
    import tensorflow as tf

    assert tf.keras.Model.__module__.startswith("tf_keras.")
    with ctx.strategy.scope():
        tf.keras.utils.set_random_seed(3)
        layers = [tf.keras.layers.Dense(8, activation="tanh"), tf.keras.layers.Dense(1)]
        model = tf.keras.Sequential([tf.keras.Input((1,)), *layers])
        model.compile(tf.keras.optimizers.Adam(0.01), "mse")
    dataset = tf.keras.utils.experimental.DatasetCreator(
        lambda _: ctx.dataset(batch_size=50, features="x", label="y").repeat()
    )
    history = model.fit(dataset, epochs=EPOCHS, steps_per_epoch=ROWS // 50, verbose=0).history
    return history["loss"], {each.device.partition("/device")[0] for each in model.variables}


@pytest.mark.full
def test_keras_2_fits_with_its_own_loop(spark, table):
    with tsm.Cluster(
        fit_keras_2, spark=spark, num_workers=3, num_ps=1, legacy_keras=True
    ) as cluster:
        cluster.train(table.select("x", "y"), epochs=EPOCHS)
    [(losses, devices)] = cluster.results
    assert devices == {"/job:ps/replica:0/task:0"}
    assert losses[-1] < losses[0]
