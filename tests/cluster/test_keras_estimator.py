"""Keras models as stages of Spark ML's pipelines, on real executors."""

import json

import numpy as np
import pytest
from node_processes import node_processes, wait_until
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.ml.feature import IndexToString, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import functions as F

import tensorsparkml as tsm
from tensorsparkml import errors
from tensorsparkml.ml import KerasEstimator, KerasModel

ROWS = 600


def classifier(units=8, rate=0.05):
    import keras

    keras.utils.set_random_seed(5)
    layers = [keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def three_classes():
    import keras

    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=6, decay_rate=0.5)
    model.compile(keras.optimizers.Adam(rate), loss)
    return model


def regressor(optimizer="sgd"):
    import keras

    keras.utils.set_random_seed(5)
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    rates = {"sgd": keras.optimizers.SGD(0.05), "adam": keras.optimizers.Adam(0.01)}
    model.compile(rates[optimizer], "mse", metrics=["mae"])
    return model


def several():
    import keras

    a, b = keras.Input((1,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    number = keras.layers.Dense(1, name="number")(joined)
    kind = keras.layers.Dense(2, "softmax", name="kind")(joined)
    model = keras.Model({"a": a, "b": b}, {"number": number, "kind": kind})
    loss = {"number": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile("adam", loss)
    return model


@pytest.fixture(scope="module")
def rows(spark):
    """Rows with a category, numbers, and a label that follows from them."""
    found = spark.range(0, ROWS, 1, 3).selectExpr(
        "id",
        "concat('k', id % 3) AS kind",
        "double(id % 10) AS number",
        "id % 3 = 1 OR id % 10 > 7 AS late",
        "id % 5 = 0 AS is_val",
        "array(float(id % 7), float(id % 4)) AS x",
        "float(id % 7 - 2 * (id % 4)) / 4 AS y",
        "IF(id % 2 = 0, 1.0, 0.5) AS weight",
    )
    return found.cache()


@pytest.fixture(scope="module")
def pipeline(rows):
    stages = [
        StringIndexer(inputCol="kind", outputCol="index", handleInvalid="keep"),
        OneHotEncoder(inputCol="index", outputCol="one_hot"),
        VectorAssembler(inputCols=["one_hot", "number"], outputCol="features"),
        KerasEstimator(
            classifier,
            labelCol="late",
            modelArgs={"rate": 0.1},
            epochs=10,
            batchSize=64,
            numWorkers=2,
            validationIndicatorCol="is_val",
            metrics=["auc"],
            seed=1,
        ),
    ]
    return Pipeline(stages=stages)


@pytest.fixture(scope="module")
def fitted(pipeline, rows):
    model = pipeline.fit(rows)
    assert wait_until(lambda: not node_processes(), 20.0)
    return model


def numbers(rows, *names):
    return [tuple(row) for row in rows.select("id", *names).orderBy("id").collect()]


def test_a_pipeline_learns_and_its_columns_are_those_of_a_classifier(fitted, rows):
    scored = fitted.transform(rows)
    types = dict(scored.dtypes)
    assert types["prediction"] == "double"
    assert types["probability"] == types["rawPrediction"] == "vector"
    evaluator = BinaryClassificationEvaluator(labelCol="label")
    labelled = scored.withColumn("label", F.col("late").cast("double"))
    assert evaluator.evaluate(labelled) > 0.95
    for row in scored.select("prediction", "probability", "rawPrediction").take(20):
        low, high = row.probability
        assert low + high == pytest.approx(1)
        assert row.prediction == float(high > 0.5)
        if 1e-3 < high < 1 - 1e-3:
            assert row.rawPrediction[1] == pytest.approx(np.log(high / low), rel=1e-5)
        assert row.rawPrediction[0] == -row.rawPrediction[1]


def test_the_summary_says_how_the_fit_went(fitted):
    model = fitted.stages[-1]
    summary = model.summary
    assert model.hasSummary
    assert {"loss", "auc", "val_loss", "val_auc"} == set(summary.history)
    assert summary.totalEpochs == 10
    assert summary.rows == ROWS * 4 // 5
    assert summary.validationRows == ROWS // 5
    assert summary.history["val_loss"][summary.bestEpoch] == min(summary.history["val_loss"])
    assert summary.seconds > 0
    assert model.numClasses == 2


def test_the_model_has_the_uid_and_the_params_of_its_estimator(pipeline, fitted):
    estimator, model = pipeline.getStages()[-1], fitted.stages[-1]
    assert model.uid == estimator.uid
    assert model.getFeaturesCol() == "features"
    assert "predictionCol" in model.explainParams()
    copied = model.copy({model.predictionCol: "p"})
    assert (copied.getPredictionCol(), model.getPredictionCol()) == ("p", "prediction")


def test_a_saved_pipeline_predicts_the_same(fitted, rows, tmp_path):
    path = f"file://{tmp_path}/model"
    fitted.write().save(path)
    loaded = PipelineModel.load(path)
    names = ("prediction", "probability", "rawPrediction")
    assert numbers(loaded.transform(rows), *names) == numbers(fitted.transform(rows), *names)
    assert loaded.stages[-1].summary == fitted.stages[-1].summary
    with pytest.raises(errors.ConfigurationError, match=r"use write\(\).overwrite\(\)"):
        fitted.stages[-1].save(path)
    fitted.stages[-1].write().overwrite().save(path)
    assert isinstance(KerasModel.load(path), KerasModel)


def test_a_damaged_folder_is_refused(fitted, rows, tmp_path):
    model, path = fitted.stages[-1], tmp_path / "model"
    with pytest.raises(errors.DataError, match=r"cannot look for hdfs://127\.0\.0\.1:9/"):
        KerasModel.load("hdfs://127.0.0.1:9/model")  # where nobody listens
    with pytest.raises(errors.DataError, match="there is no KerasModel in"):
        KerasModel.load(f"file://{path}")
    model.save(f"file://{path}")
    with pytest.raises(errors.ConfigurationError, match="has a KerasModel, not a KerasEstimator"):
        KerasEstimator.load(f"file://{path}")
    file, checksum = path / "model.keras", path / ".model.keras.crc"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(errors.DataError, match=r"cannot read .*model\.keras: .*Checksum error"):
        KerasModel.load(f"file://{path}")
    checksum.unlink()
    with pytest.raises(errors.DataError, match=r"model\.keras is not the file that was saved"):
        KerasModel.load(f"file://{path}")
    file.unlink()
    with pytest.raises(errors.DataError, match=r"cannot read .*model\.keras: java.io.FileNotFound"):
        KerasModel.load(f"file://{path}")
    [metadata] = (path / "metadata").glob("part-*")
    (path / "metadata" / f".{metadata.name}.crc").unlink()
    found = json.loads(metadata.read_text())
    found["tensorsparkml"]["format"] = 99
    metadata.write_text(json.dumps(found))
    with pytest.raises(errors.ConfigurationError, match=r"whose format .* install a newer version"):
        KerasModel.load(f"file://{path}")
    found["tensorsparkml"]["format"] = 1
    found["paramMap"]["later"] = 3
    metadata.write_text(json.dumps(found))
    with pytest.raises(errors.ConfigurationError, match="params later, which this version"):
        KerasModel.load(f"file://{path}")
    metadata.write_text("{")
    with pytest.raises(errors.DataError, match="is damaged"):
        KerasModel.load(f"file://{path}")


def test_strings_are_labels_and_three_classes_have_logits(rows):
    seen = rows.withColumn("seen", F.expr("array(float(kind = 'k0'), float(kind = 'k1'))"))
    estimator = KerasEstimator(
        three_classes,
        featuresCol="seen",
        labelCol="kind",
        labels=["k1", "k0", "k2"],
        classWeights={"k1": 2.0},
        epochs=5,
        batchSize=100,
        seed=2,
    )
    model = estimator.fit(seen)
    assert model.numClasses == 3
    scored = model.transform(seen)
    named = IndexToString(inputCol="prediction", outputCol="named").transform(scored)
    assert named.where("named = kind").count() == ROWS
    for row in named.select("named", "probability", "rawPrediction").take(5):
        assert row.named == ["k1", "k0", "k2"][int(np.argmax(row.probability))]
        powers = np.exp(row.rawPrediction.toArray())
        np.testing.assert_allclose(row.probability, powers / powers.sum(), rtol=1e-6)


def read_batches(size, ctx):
    batches = ctx.dataset(global_batch_size=size, features="id")
    return [ctx.strategy.experimental_local_results(each)[0].numpy() for each in batches]


def train_alone(args, ctx):
    """Train in one process on rows in order, without anything of this library."""
    import tensorflow as tf

    found = {}
    for optimizer in ("sgd", "adam"):
        dataset = tf.data.Dataset.from_tensor_slices(args["rows"]).batch(args["size"])
        model = regressor(optimizer)
        history = model.fit(dataset, epochs=3, verbose=0).history
        found[optimizer] = history, model.get_weights()
    return found


def test_two_workers_compute_what_keras_computes(spark, rows):
    size = 64
    both = tsm.run(read_batches, size, spark=spark, data=rows.select("id"), seed=3, num_workers=2)
    ids = [int(each) for parts in zip(*both, strict=True) for part in parts for each in part]
    assert sorted(ids) == list(range(ROWS))
    by_id = {row.id: (row.x, row.y) for row in rows.select("id", "x", "y").collect()}
    x, y = zip(*map(by_id.get, ids), strict=True)
    in_order = np.array(x, np.float32), np.array(y, np.float32)
    [expected] = tsm.run(train_alone, {"rows": in_order, "size": size}, spark=spark)
    estimator = KerasEstimator(
        regressor,
        featuresCol="x",
        labelCol="y",
        epochs=3,
        batchSize=size,
        numWorkers=2,
        shuffle=False,
        seed=3,
    )
    maps = [{estimator.modelArgs: {"optimizer": optimizer}} for optimizer in expected]
    models = estimator.fit(rows, maps)
    for model, (history, weights) in zip(models, expected.values(), strict=True):
        for name, values in history.items():
            np.testing.assert_allclose(model.summary.history[name], values, rtol=1e-5)
        for found, own in zip(model.keras_model().get_weights(), weights, strict=True):
            np.testing.assert_allclose(found, own, rtol=1e-5, atol=1e-6)


def test_a_seed_makes_fits_equal(rows):
    estimator = KerasEstimator(
        regressor, featuresCol="x", labelCol="y", weightCol="weight", epochs=2, batchSize=50,
        numWorkers=2, seed=4, validationFraction=0.2,
    )  # fmt: skip
    first, second = estimator.fit(rows), estimator.fit(rows)
    assert first.summary.history == second.summary.history
    scored = first.transform(rows)
    assert dict(scored.dtypes)["prediction"] == "double"
    assert RegressionEvaluator(labelCol="y").evaluate(scored) < 2


def test_several_inputs_and_outputs(rows):
    estimator = KerasEstimator(
        several,
        inputs={"a": "number", "b": ["weight", "z"]},
        labelCols={"number": "y", "kind": "id_class"},
        outputCols={"number": "p", "kind": "scores"},
        epochs=1,
        batchSize=100,
    )
    labelled = rows.withColumn("id_class", F.col("id") % 2).withColumn("z", F.col("number") / 9)
    model = estimator.fit(labelled)
    scored = model.transform(labelled)
    assert [dict(scored.dtypes)[name] for name in ("p", "scores")] == ["float", "array<float>"]
    again = estimator.setParams(initialModel=model, epochs=2).fit(labelled)
    assert again.summary.history["loss"][0] < model.summary.history["loss"][0]


def test_cross_validation_sends_the_rows_of_a_fold_once(rows, caplog):
    caplog.set_level("INFO", "tensorsparkml")
    labelled = rows.withColumn("label", F.col("late").cast("int"))
    assembled = VectorAssembler(inputCols=["number", "y", "weight", "id"], outputCol="features")
    estimator = KerasEstimator(classifier, epochs=1, batchSize=100)
    grid = (
        ParamGridBuilder()
        .addGrid(estimator.modelArgs, [{"units": 2}, {"units": 4}])
        .addGrid(estimator.epochs, [1, 2])
        .build()
    )
    validator = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=grid,
        evaluator=BinaryClassificationEvaluator(),
        numFolds=3,
        parallelism=2,
        seed=1,
    )
    found = validator.fit(assembled.transform(labelled).coalesce(1))
    assert len(found.avgMetrics) == 4
    assert isinstance(found.bestModel, KerasModel)
    # Three folds, and the best params on all rows.
    assert sum("1 nodes run" in record.getMessage() for record in caplog.records) == 4
