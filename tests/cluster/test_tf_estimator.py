"""Programs of the user's own, and models in folders, as stages of pipelines."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from node_processes import node_processes, wait_until
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler

from tensorsparkml import errors
from tensorsparkml.ml import TFEstimator, TFModel

WEIGHTS = np.array([3.14, 1.618])


def train(args, ctx):
    """Find the weights of a sum."""
    import keras

    keras.utils.set_random_seed(1)
    with ctx.strategy.scope():
        model = keras.Sequential(
            [keras.Input((2,), name="x"), keras.layers.Dense(1, use_bias=False, name="y")]
        )
        model.compile(keras.optimizers.Adam(0.3), "mse")
    options = {"global_batch_size": 50, "features": "features", "label": "sum"}
    rows, held_out = ctx.dataset(**options), ctx.dataset("validation", **options)
    history = model.fit(rows, validation_data=held_out, epochs=args["epochs"], verbose=0)
    if ctx.is_chief:
        Path(args["notes"]).write_text(f"{ctx.num_workers} {history.history['val_loss'][-1]:.3f}")
    return ctx.export(model, args["folder"])


@pytest.fixture(scope="module")
def rows(spark):
    numbers = np.random.default_rng(7).random((400, 2))
    table = [(float(a), float(b), float(np.dot((a, b), WEIGHTS))) for a, b in numbers]
    return spark.createDataFrame(table, ["a", "b", "sum"]).selectExpr(
        "*", "a < 0.2 AS held_out", "current_date() AS `not.sent`"
    )


@pytest.fixture(scope="module")
def fitted(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    estimator = TFEstimator(
        train,
        {"epochs": 12, "folder": str(folder / "model"), "notes": str(folder / "notes")},
        columns=["features", "sum"],
        validationIndicatorCol="held_out",
        numWorkers=2,
        seed=1,
        predictionCol="found",
    )
    stages = [VectorAssembler(inputCols=["a", "b"], outputCol="features"), estimator]
    return Pipeline(stages=stages).fit(rows), folder, estimator


def found_sums(model, rows):
    table = model.transform(rows).select("sum", "found").collect()
    return np.array([row["sum"] for row in table]), np.array([row["found"] for row in table])


def test_a_program_is_a_stage_of_a_pipeline(fitted, rows):
    pipeline, folder, estimator = fitted
    workers, loss = (folder / "notes").read_text().split()
    assert int(workers) == 2
    assert float(loss) < 0.01
    model = pipeline.stages[1]
    assert isinstance(model, TFModel)
    assert model.uid == estimator.uid
    assert model.value("modelPath") == str(folder / "model")
    sums, found = found_sums(pipeline, rows)
    np.testing.assert_allclose(found, sums, atol=0.2)
    assert wait_until(lambda: not node_processes(), 20.0)


def test_a_saved_model_is_a_copy_that_is_checked(fitted, rows, tmp_path):
    pipeline, folder, _ = fitted
    target = tmp_path / "saved"
    pipeline.write().save(str(target))
    _, expected = found_sums(pipeline, rows)
    shutil.rmtree(folder / "model")
    with pytest.raises(errors.DataError, match=r"there is no model in .*/model any more"):
        pipeline.stages[1].save(str(tmp_path / "nothing"))
    loaded = PipelineModel.load(str(target))
    _, found = found_sums(loaded, rows)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(errors.ConfigurationError, match="has the files of this model itself"):
        loaded.stages[1].write().overwrite().save(str(target))
    [graph] = target.glob("stages/1_*/model/saved_model.pb")
    graph.write_bytes(graph.read_bytes() + b"\0")
    (graph.parent / f".{graph.name}.crc").unlink()  # of Hadoop, which would find it, too
    with pytest.raises(errors.DataError, match=r"saved_model\.pb is not the file that was saved"):
        PipelineModel.load(str(target))


def returns(value):
    def main(args, ctx):
        return value

    return main


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, errors.ConfigurationError, r"main is needed: TFEstimator\(main\)"),
        (
            {"main": train, "columns": ["features"]},
            errors.MissingColumnError,
            "features",
        ),
        (
            {"main": train, "columns": ["a"], "validationIndicatorCol": "a"},
            errors.ConfigurationError,
            "validationIndicatorCol 'a' must have booleans, not double",
        ),
        (
            {"main": train, "validationFraction": 0.5, "validationIndicatorCol": "held_out"},
            errors.ConfigurationError,
            "validationFraction and validationIndicatorCol are set; one of them is enough",
        ),
        (
            {"main": train, "clusterSettings": {"num_ps": 1}},
            errors.ConfigurationError,
            "parameter servers need num_workers=2 or more",
        ),
        (
            {"main": returns(None), "columns": ["a"]},
            errors.ConfigurationError,
            "returned None on the chief; end it with the path of the model",
        ),
        (
            {"main": returns("/no/such/model"), "columns": ["a"]},
            errors.DataError,
            "/no/such/model",
        ),
        (
            {"main": returns(3), "columns": ["a"]},
            errors.ConfigurationError,
            "returned 3 on the chief",
        ),
    ],
)
def test_what_is_wrong_is_told(rows, params, error, message):
    with pytest.raises(error, match=message):
        TFEstimator(**params).fit(rows)


def test_a_model_needs_a_path(rows):
    with pytest.raises(errors.ConfigurationError, match=r"modelPath is needed: TFModel\(path\)"):
        TFModel().transform(rows)
