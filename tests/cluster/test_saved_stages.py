"""What earlier versions have saved: folders that `tools/save_stages.py` has written."""

import json
from pathlib import Path

import numpy as np
import pytest

from tensorsparkml.ml import KerasEstimator, KerasModel
from tensorsparkml.ml.summary import TrainingSummary

FOLDERS = sorted(Path(__file__).parents[1].joinpath("data", "saved").iterdir())


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def saved(request):
    return request.param


@pytest.fixture
def expected(saved):
    return json.loads((saved / "expected.json").read_text())


def params(stage, expected):
    """Those of an earlier version; a later one may have further ones."""
    assert stage.uid == expected["uid"]
    return {name: stage.getOrDefault(name) for name in expected["params"]}


def test_a_model_of_an_earlier_version_predicts_the_same(spark, saved, expected):
    model = KerasModel.load(f"file://{saved}/model")
    assert params(model, expected["model"]) == expected["model"]["params"]
    assert model.summary == TrainingSummary(**expected["summary"])
    assert model.summary.totalEpochs == 2
    assert model.numClasses == 3
    rows = spark.createDataFrame([(each,) for each in expected["rows"]], "x array<float>")
    scored = model.transform(rows.coalesce(1))
    assert scored.schema["prediction"].metadata["ml_attr"]["vals"] == ["near", "far", "lost"]
    found = scored.collect()
    assert [row.prediction for row in found] == expected["predictions"]
    probabilities = [row.probability.toArray() for row in found]
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=1e-6)


def test_an_estimator_of_an_earlier_version_has_its_params_and_models(spark, saved, expected):
    estimator = KerasEstimator.load(f"file://{saved}/estimator")
    assert params(estimator, expected["estimator"]) == expected["estimator"]["params"]
    for name in ("model", "initialModel"):
        weights = estimator.getOrDefault(name).get_weights()
        for found, own in zip(weights, expected["weights"][name], strict=True):
            np.testing.assert_array_equal(found, np.array(own, np.float32))
    assert estimator.getOrDefault("model").optimizer.name.lower() == "sgd"
