"""Programs of Keras 2, which is the package tf_keras, train under both strategies."""

import numpy as np
import pytest

import tensorsparkml as tsm
from tensorsparkml import errors
from tensorsparkml.ml import KerasEstimator, KerasModel

ROWS, EPOCHS = 200, 5


def build():
    import tensorflow as tf

    assert tf.keras.__name__.startswith("tf_keras.")
    tf.keras.utils.set_random_seed(3)
    layers = [tf.keras.layers.Dense(8, activation="tanh"), tf.keras.layers.Dense(1)]
    model = tf.keras.Sequential([tf.keras.Input((1,)), *layers])
    model.compile(tf.keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


def fit_batches(args, ctx):
    with ctx.strategy.scope():
        model = build()
    import tensorflow as tf

    batch_size = args or ROWS // ctx.num_workers
    rows = ctx.dataset(batch_size=batch_size, features="x", label="y")
    batches = []
    count = tf.keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: batches.append(batch)
    )
    history = model.fit(rows, epochs=EPOCHS, callbacks=[count], verbose=0).history
    return history, batches


@pytest.fixture
def table(spark):
    return spark.range(ROWS, numPartitions=3).selectExpr(
        "cast(id / 100 - 1 as float) as x", "cast(3 * (id / 100 - 1) + 1 as float) as y"
    )


def test_nodes_train_as_one_process_does(spark, table):
    histories = {}
    for nodes in (1, 2):
        histories[nodes] = tsm.run(
            fit_batches, spark=spark, data=table, num_workers=nodes, legacy_keras=True
        )
    ((alone, _),), ((first, _), (second, _)) = histories[1], histories[2]
    assert first == second
    assert sorted(first) == ["loss", "mae"] and len(first["loss"]) == EPOCHS
    for name, values in alone.items():
        np.testing.assert_allclose(first[name], values, rtol=1e-5)


@pytest.mark.full
def test_an_epoch_ends_with_the_rows(spark, table):
    settings = {"num_workers": 2, "legacy_keras": True}
    results = tsm.run(fit_batches, 30, spark=spark, data=table, **settings)
    for _, batches in results:  # 100 rows on each node
        assert batches == [0, 1, 2, 3] * EPOCHS


def fit_with_callbacks(args, ctx):
    import tensorflow as tf

    with ctx.strategy.scope():
        model = build()
    rows = ctx.dataset(batch_size=20, features="x", label="y")
    callbacks = ctx.callbacks(
        checkpoint=f"{args}/checkpoint.keras", backup=f"{args}/backup", tensorboard=True
    )
    history = model.fit(rows, epochs=2, callbacks=callbacks, verbose=0).history
    ctx.export(model, f"{args}/exported")
    saved = tf.keras.models.load_model(f"{args}/checkpoint.keras") if ctx.is_chief else model
    same = zip(saved.get_weights(), model.get_weights(), strict=True)
    return history["loss"], all((one == other).all() for one, other in same)


@pytest.mark.full
def test_only_the_chief_leaves_files(spark, table, tmp_path, caplog):
    settings = {"num_workers": 2, "legacy_keras": True, "log_dir": str(tmp_path / "logs")}
    caplog.set_level("INFO", "tensorsparkml.progress")
    (losses, same), other = tsm.run(
        fit_with_callbacks, str(tmp_path), spark=spark, data=table, **settings
    )
    assert (losses, same) == other and same and len(losses) == 2
    assert [sum(f"epoch {n}/2" in line for line in caplog.messages) for n in (1, 2)] == [1, 1]
    assert len(list(tmp_path.glob("logs/**/events.out.tfevents*"))) == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"backup", "checkpoint.keras", "exported", "logs"}
    assert not list((tmp_path / "backup").iterdir())  # which ends with training
    predicted = tsm.predict(table.limit(5), str(tmp_path / "exported"), features="x")
    assert len(predicted.collect()) == 5


def of_keras_2():
    import tf_keras

    return tf_keras.Sequential([tf_keras.Input((1,)), tf_keras.layers.Dense(1)])


def classifier():
    import tensorflow as tf

    tf.keras.utils.set_random_seed(3)
    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.3))
    return model


def test_an_estimator_trains_a_model_of_keras_2(spark, table, tmp_path):
    rows = table.selectExpr("x", "double(x > 0.1) AS late", "x > 0.9 AS is_val")
    estimator = KerasEstimator(
        classifier,
        featuresCol="x",
        labelCol="late",
        # As a dict of Keras has it, whichever Keras makes it.
        loss={
            "module": "keras.losses",
            "class_name": "BinaryCrossentropy",
            "config": {"from_logits": True},
            "registered_name": None,
        },
        metrics=["accuracy"],
        validationIndicatorCol="is_val",
        checkpointDir=str(tmp_path / "state"),
        epochs=10,
        batchSize=20,
        seed=1,
    )
    with pytest.raises(errors.ConfigurationError, match=r"of Keras 2, .*'legacy_keras': True"):
        estimator.copy({estimator.model: of_keras_2}).fit(rows)
    model = estimator.setParams(clusterSettings={"legacy_keras": True}).fit(rows)
    assert sorted(model.summary.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    model.save(str(tmp_path / "saved"))
    scored = KerasModel.load(str(tmp_path / "saved")).transform(rows)
    assert scored.where("prediction = late").count() > 0.95 * ROWS
    [first] = scored.where("x < -0.9").limit(1).collect()
    assert first.rawPrediction[0] > 0 and first.probability[0] > 0.9


def fit_through_parameter_servers(args, ctx):
    import tensorflow as tf

    with ctx.strategy.scope():
        model = build()

    def examples(_):
        x = tf.linspace(-1.0, 1.0, 40)[:, tf.newaxis]
        return tf.data.Dataset.from_tensors((x, 3 * x + 1)).repeat()

    creator = tf.keras.utils.experimental.DatasetCreator(examples)
    history = model.fit(creator, epochs=3, steps_per_epoch=20, verbose=0).history
    places = {variable.device.partition("/device")[0] for variable in model.variables}
    return history["loss"], sorted(places)


@pytest.mark.full
def test_fit_works_through_parameter_servers(spark):
    ((losses, places),) = tsm.run(
        fit_through_parameter_servers, spark=spark, num_workers=2, num_ps=1, legacy_keras=True
    )
    assert places == ["/job:ps/replica:0/task:0"]
    assert len(losses) == 3 and losses[2] < 0.5 * losses[0]
    assert losses[2] == pytest.approx(min(losses))
