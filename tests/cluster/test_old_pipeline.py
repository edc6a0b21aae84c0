"""`TFEstimator` and `TFModel` of the old API: a fit on two nodes, and its model on executors."""

import json
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F

from tensorflowonspark import TFCluster, TFNode, compat
from tensorflowonspark.pipeline import TFEstimator, TFModel
from tensorsparkml import errors

ROWS, EPOCHS = 300, 2
WEIGHTS = [3.14, 1.618]


@pytest.fixture(scope="module")
def rows(spark):
    features = np.random.default_rng(1).random((ROWS, 2))
    labels = features @ WEIGHTS
    examples = [(x.tolist(), [float(y)], "unused") for x, y in zip(features, labels, strict=True)]
    return spark.createDataFrame(
        spark.sparkContext.parallelize(examples, 3), ["features", "a.label", "unused"]
    )


def train(args, ctx):
    """Linear regression as the tests and examples of TensorFlowOnSpark have it."""
    import keras
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        x = keras.Input((2,), name="x")
        y = keras.layers.Dense(1, use_bias=False, name="y")(x)
        model = keras.Model(x, y)
        model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    feed = TFNode.DataFeed(ctx.mgr, input_mapping=args.input_mapping)

    def examples():
        while not feed.should_stop():
            batch = feed.next_batch(1)
            if not batch["x"]:
                return
            yield batch["x"][0], batch["y_"][0]

    specs = (tf.TensorSpec([2]), tf.TensorSpec([1]))
    data = tf.data.Dataset.from_generator(examples, output_signature=specs)
    options = tf.data.Options()
    compat.disable_auto_shard(options)
    steps = int(args.rows * 0.9) // (args.batch_size * ctx.num_workers)
    model.fit(data.with_options(options).batch(args.batch_size), steps_per_epoch=steps, verbose=0)
    exported = keras.Model({"x": x}, {"y": y, "doubled": 2 * y})
    compat.export_saved_model(exported, args.export_dir, ctx.job_name == "chief")
    feed.terminate()
    merged = {name: vars(args)[name] for name in ("rows", "epochs", "steps", "cluster_size")}
    Path(args.folder, f"{ctx.job_name}.json").write_text(json.dumps(merged))


@pytest.fixture(scope="module")
def model(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    return (
        TFEstimator(train, {"rows": EPOCHS * ROWS, "folder": str(folder)})
        .setInputMapping({"features": "x", "a.label": "y_"})
        .setExportDir(str(folder / "model"))
        .setClusterSize(2)
        .setBatchSize(2)
        .setEpochs(EPOCHS)
        .fit(rows)
    )


def test_a_fit_gives_a_model_with_its_params(model):
    assert isinstance(model, TFModel)
    assert (model.getBatchSize(), model.getInputMapping()["features"]) == (2, "x")
    found = {
        path.stem: json.loads(path.read_text()) for path in Path(model.args.folder).glob("*.json")
    }
    merged = {"rows": EPOCHS * ROWS, "epochs": EPOCHS, "steps": 1000, "cluster_size": 2}
    assert found == {"chief": merged, "worker": merged}


def test_the_model_knows_the_weights(spark, model):
    rows = spark.createDataFrame([([1.0, 1.0], 0), ([1.0, 0.0], 1)], ["c.1", "y"])
    found = (
        model.copy()
        .setTagSet("serve")
        .setSignatureDefKey("serving_default")
        .setInputMapping({"c.1": "x"})
        .setOutputMapping({"y": "c.1", "doubled": "more"})
        .transform(rows)
    )
    assert found.dtypes == [("more", "array<double>"), ("c.1", "array<double>")]
    expected = [sum(WEIGHTS), WEIGHTS[0]]
    [doubled, known] = np.array(found.collect())[:, :, 0].T
    np.testing.assert_allclose(known, expected, atol=0.01)
    np.testing.assert_allclose(doubled, 2 * known, rtol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind", "message"),
    [
        ({"c": "dense_input"}, {"y": "p"}, errors.ConfigurationError, "the inputs 'x'; use the"),
        ({"c": "x", "d": "x"}, {"y": "p"}, errors.ConfigurationError, "'x' for 2 columns"),
        ({"c": "x"}, {"dense": "p"}, errors.ConfigurationError, "the outputs 'doubled', 'y'; use"),
        ({"e": "x"}, {"y": "p"}, errors.MissingColumnError, "no column 'e' .* it has c, d"),
    ],
)
def test_a_transform_is_refused_before_it_runs(spark, model, inputs, outputs, kind, message):
    rows = (
        spark.range(1)
        .select(F.array(F.lit(1.0), F.lit(1.0)).alias("c"))
        .withColumn("d", F.col("c"))
    )
    with pytest.raises(kind, match=message):
        model.copy().setInputMapping(inputs).setOutputMapping(outputs).transform(rows)


def not_called(args, ctx):
    raise AssertionError("it is called")


def test_a_missing_column_starts_no_node(rows):
    estimator = TFEstimator(not_called, []).setInputMapping({"features": "x", "labels": "y"})
    with pytest.raises(errors.MissingColumnError, match=r"no column 'labels' .* a\.label"):
        estimator.fit(rows)


def read_all(argv, ctx):
    feed = ctx.get_data_feed()
    while not feed.should_stop():
        feed.next_batch(10)
    Path(argv[1], "ended").touch()


def test_a_fit_that_is_interrupted_ends_its_nodes(spark, tmp_path, monkeypatch):
    """Nothing is left, and no program takes what has come for all rows."""

    def train(cluster, rows, epochs):
        assert (rows.collect(), epochs) == ([(0,), (1,)], 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(TFCluster.TFCluster, "train", train)
    estimator = TFEstimator(read_all, ["program", str(tmp_path)]).setInputMapping({"id": "x"})
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(spark.range(2))
    assert not (tmp_path / "ended").exists()
