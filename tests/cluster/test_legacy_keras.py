"""Programs of Keras 2, which is the package tf_keras, train under both strategies."""

import pytest

import tensorsparkml as tsm

ROWS = 1000
BATCH = 50


@pytest.fixture
def table(spark):
    return spark.range(ROWS, numPartitions=5).selectExpr(
        "id", "cast(id / 500 - 1 as float) as x", "cast(3 * (id / 500 - 1) + 1 as float) as y"
    )


def build():
    import tensorflow as tf

    assert tf.keras.__version__.startswith("2.")
    tf.keras.utils.set_random_seed(3)
    layers = [tf.keras.layers.Dense(8, activation="tanh"), tf.keras.layers.Dense(1)]
    model = tf.keras.Sequential([tf.keras.Input((1,)), *layers])
    model.compile(tf.keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def fit_together(args, ctx):
    with ctx.strategy.scope():
        model = build()
    dataset = ctx.dataset(batch_size=BATCH, features="x", label="y")
    return model.fit(dataset, epochs=3, verbose=0).history


def test_nodes_train_together(spark, table):
    with tsm.Cluster(fit_together, spark=spark, num_workers=2, legacy_keras=True) as cluster:
        cluster.train(table, epochs=3)
    first, second = cluster.results
    assert first == second
    assert sorted(first) == ["loss", "mae"]
    assert first["loss"][2] < first["loss"][0]


def fit_through_parameter_servers(args, ctx):
    import tensorflow as tf

    with ctx.strategy.scope():
        model = build()
    dataset = tf.keras.utils.experimental.DatasetCreator(
        lambda _: ctx.dataset(batch_size=BATCH, features="x", label="y").repeat()
    )
    history = model.fit(dataset, epochs=3, steps_per_epoch=ROWS // BATCH, verbose=0).history
    return history, sorted(
        {variable.device.partition("/device")[0] for variable in model.variables}
    )


def test_workers_train_through_parameter_servers(spark, table):
    with tsm.Cluster(
        fit_through_parameter_servers, spark=spark, num_workers=3, num_ps=1, legacy_keras=True
    ) as cluster:
        cluster.train(table, epochs=3)
    ((history, devices),) = cluster.results
    assert devices == ["/job:ps/replica:0/task:0"]
    assert history["loss"][2] < history["loss"][0]
