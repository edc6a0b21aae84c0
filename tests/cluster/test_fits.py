"""Fits that go wrong, go on, or run side by side."""

import numpy as np
import pytest
from node_processes import node_processes, wait_until
from pyspark.ml.classification import OneVsRest
from pyspark.sql import functions as F

from tensorsparkml import errors
from tensorsparkml.ml import KerasEstimator


def classifier():
    import keras

    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.5), "binary_crossentropy")
    return model


def fails_at(epoch, marker):
    """Return a function for the nodes: a callback that fails in an epoch, the first time."""

    def make():
        from pathlib import Path

        import keras

        class Fails(keras.callbacks.Callback):
            def on_epoch_end(self, number, logs=None):
                if number == epoch and not Path(marker).exists():
                    Path(marker).touch()
                    raise OSError("cut off")

        return [Fails()]

    return make


@pytest.fixture(scope="module")
def rows(spark):
    return (
        spark.range(0, 300, 1, 2)
        .selectExpr("id", "array(float(id % 3), float(id % 2)) AS features", "id % 3 AS label")
        .cache()
    )


def test_a_model_without_classes_for_the_labels_is_refused_before_it_reads_rows(rows):
    with pytest.raises(
        errors.ConfigurationError, match="labelCol 'label' has values from 0 to 2, but the model"
    ):
        KerasEstimator(classifier, batchSize=50).fit(rows)


def test_a_fit_that_was_cut_off_goes_on_where_it_was(rows, tmp_path):
    two = rows.withColumn("label", F.col("label") % 2)
    estimator = KerasEstimator(classifier, epochs=4, batchSize=50, seed=1)
    whole = estimator.fit(two)
    estimator.setParams(
        checkpointDir=str(tmp_path / "state"),
        callbacks=fails_at(1, str(tmp_path / "failed")),
    )
    with pytest.raises(errors.MainError, match="fit raised OSError: cut off"):
        estimator.fit(two)
    assert (tmp_path / "state" / "history.json").exists()
    model = estimator.fit(two)
    assert model.summary.totalEpochs == 4
    # The epochs before, from the file, are those of the same fit in one go.
    first = whole.summary.history["loss"][:2]
    np.testing.assert_allclose(model.summary.history["loss"][:2], first, rtol=1e-6)
    assert model.summary.history["loss"][3] < first[0]
    assert not (tmp_path / "state" / "history.json").exists()


def test_classifiers_of_one_class_against_the_rest_run_side_by_side(rows):
    estimator = KerasEstimator(classifier, epochs=30, batchSize=50)
    model = OneVsRest(classifier=estimator, parallelism=3).fit(rows)
    scored = model.transform(rows)
    right = scored.where("prediction = label").count()
    assert right > 0.6 * rows.count()  # the features tell two of three classes apart
    assert wait_until(lambda: not node_processes(), 20.0)
