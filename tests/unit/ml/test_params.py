"""Params are checked when they are set."""

import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml import KerasEstimator, TFEstimator
from tensorsparkml.ml.estimator import _check


def build():
    raise AssertionError("it is called on nodes only")


# Values that a param refuses, with a part of the message.
REFUSED = {
    "model": [(3, "a function that returns a Keras model"), ("model.h5", r"\.keras"), ("", ".")],
    "modelArgs": [([1], "a dict"), ({1: 2}, "strings as keys")],
    "inputs": [({}, "at least one column"), ({"x": ""}, "non-empty"), ({"x": [1]}, "non-empty")],
    "outputCols": [({"x": 1}, "non-empty string")],
    "labelCols": [({}, "at least one column"), ("y", "a dict")],
    "labels": [
        (["a"], "at least two"),
        (["a", "a"], "different"),
        (["a", 1], "one type"),
        ("ab", "."),
    ],
    "classWeights": [({}, "a dict"), ({"a": -1}, "not negative"), ({"a": float("nan")}, ".")],
    "validationFraction": [(0, "between 0 and 1"), (1.0, "."), (True, "."), ("0.1", ".")],
    "validationData": [(3, "a DataFrame")],
    "epochs": [(0, "at least 1"), (1.5, "."), (True, ".")],
    "batchSize": [(0, "at least 1")],
    "shuffle": [(1, "True or False")],
    "seed": [(-1, "at least 0")],
    "callbacks": [(3, "a function"), ([3], "a Keras callback")],
    "stepsPerExecution": [(0, "at least 1")],
    "mixedPrecision": [("yes", "True or False")],
    "numWorkers": [(0, "at least 1")],
    "initialModel": [(build, "a KerasModel, a Keras model or the path"), ("m.h5", r"\.keras")],
    "checkpointDir": [("", "a path")],
    "optimizer": [(3, "a function"), ("", "non-empty")],
    "loss": [(3, "a function")],
    "metrics": [("auc", "a list"), ([3], "an element of metrics")],
    "customObjects": [([1], "a dict")],
    "clusterSettings": [
        ({"num_workers": 2}, "set the param numWorkers"),
        ({"num_ps": 1}, "on workers alone; use TFEstimator"),
        ({"nodes": 1}, "unknown setting nodes"),
        ({"slots": "some"}, "slots must be"),
    ],
}
OF_SPARK = {
    "featuresCol", "labelCol", "predictionCol", "probabilityCol", "rawPredictionCol", "weightCol",
    "validationIndicatorCol",
}  # fmt: skip


def test_each_param_has_values_that_it_refuses():
    assert {each.name for each in KerasEstimator().params} == REFUSED.keys() | OF_SPARK


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [(name, *case) for name, cases in REFUSED.items() for case in cases],
)
def test_a_wrong_value_is_refused_when_it_is_set(name, value, message):
    with pytest.raises(ConfigurationError, match=message):
        KerasEstimator(**{name: value})


def test_an_unknown_param_is_refused():
    with pytest.raises(ConfigurationError, match=r"must be one of .*batchSize.*, not 'batch_size'"):
        KerasEstimator(batch_size=3)


def test_params_have_defaults_and_documentation():
    estimator = KerasEstimator(build)
    assert estimator.value("epochs") == 1
    assert estimator.value("seed") is None
    assert "epochs: number of passes over the rows (default: 1)" in estimator.explainParams()
    estimator.setParams(epochs=3, seed=1).setLabelCol("y").setFeaturesCol("x")
    assert (estimator.value("epochs"), estimator.getLabelCol()) == (3, "y")
    estimator.setParams(epochs=None)
    assert estimator.value("epochs") == 1


def test_a_copy_has_params_of_its_own():
    estimator = KerasEstimator(build, epochs=2)
    copied = estimator.copy({estimator.epochs: 5, estimator.modelArgs: {"units": 3}})
    assert (copied.value("epochs"), estimator.value("epochs")) == (5, 2)
    assert copied.uid == estimator.uid
    assert copied.value("modelArgs") == {"units": 3}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "model is needed"),
        ({"model": "m.keras", "modelArgs": {"a": 1}}, "modelArgs is for a function"),
        ({"model": build, "batchSize": 10, "numWorkers": 4}, "no multiple of numWorkers, .* as 8"),
        (
            {"model": build, "stepsPerExecution": 2, "clusterSettings": {"legacy_keras": True}},
            "stepsPerExecution is for models of Keras 3",
        ),
        (
            {"model": build, "validationFraction": 0.1, "validationIndicatorCol": "v"},
            "validationFraction and validationIndicatorCol are set",
        ),
    ],
)
def test_params_that_do_not_go_together(params, message):
    with pytest.raises(ConfigurationError, match=message):
        _check(KerasEstimator(**params))


# Beside those that `KerasEstimator` has, too.
REFUSED_FOR_PROGRAMS = {
    "main": [(3, "a function")],
    "columns": [([], "non-empty"), ("a", "list of different names"), (["a", "a"], "different")],
    "signature": [("", "non-empty"), (3, "non-empty")],
    "clusterSettings": [
        ({"num_workers": 2}, "set the param numWorkers"),
        ({"nodes": 1}, "unknown setting nodes"),
    ],
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [(name, *case) for name, cases in REFUSED_FOR_PROGRAMS.items() for case in cases],
)
def test_a_wrong_value_of_a_program_is_refused_when_it_is_set(name, value, message):
    with pytest.raises(ConfigurationError, match=message):
        TFEstimator(**{name: value})


def test_the_nodes_of_a_program_are_the_users_choice():
    estimator = TFEstimator(build, numWorkers=2)
    estimator.setParams(clusterSettings={"num_ps": 1, "legacy_keras": True})
    estimator.check_fit()
    assert estimator.settings() == {"num_workers": 2, "num_ps": 1, "legacy_keras": True}
