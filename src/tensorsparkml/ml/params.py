"""The params of estimators and models, in the way of Spark ML: typed, documented and checked.

Values are checked when they are set, so that a wrong one is an error before any Spark job. What
PySpark's own stages inherit from `Params` has underscores; this is the only module that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

from pyspark.ml.param import Param, Params
from pyspark.ml.param.shared import (
    HasFeaturesCol,
    HasLabelCol,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
    HasValidationIndicatorCol,
    HasWeightCol,
)

from tensorsparkml.checks import Check, integer, named, path, refuse, switch, text
from tensorsparkml.config import ClusterSettings, make_config
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.param_checks import (
    callbacks,
    classes,
    cluster_settings,
    cluster_settings_for_keras,
    column_names,
    data_frame,
    fraction,
    identifier,
    identifiers,
    input_columns,
    model,
    weights_of_classes,
)


def param(name: str, doc: str, check: Check) -> Param[Any]:
    """Return a param whose values are checked.

    Args:
        name: Its name, in Spark's camelCase.
        doc: What it means.
        check: Checks a value, as in `tensorsparkml.checks`.
    """
    return Param(Params._dummy(), name, doc, typeConverter=lambda value: check(name, value))


class CheckedParams(Params):
    """Params that are set by keyword arguments."""

    def setParams(self, **values: Any) -> Self:  # Spark's name
        """Set params by their names; None clears one, which then has its default.

        Raises:
            ConfigurationError: There is no such param, or its value is not valid.
        """
        for name, value in values.items():
            if not self.hasParam(name):
                known = ", ".join(each.name for each in self.params)
                refuse(f"a param of {type(self).__name__}", f"one of {known}", name)
            if value is None:
                self.clear(self.getParam(name))
            else:
                self.set(self.getParam(name), value)
        return self

    def set_defaults(self, **values: Any) -> Self:
        """Set what params without a value have; None is a value here."""
        return self._setDefault(**values)

    def value(self, name: str) -> Any:
        """Return the value of a param, its default, or None if it has neither."""
        found = self.getParam(name)
        return self.getOrDefault(found) if self.isDefined(found) else None

    def values_set(self) -> dict[str, Any]:
        """Return the params that are set, by their names, without defaults."""
        return {each.name: value for each, value in self._paramMap.items()}

    def take_uid(self, uid: str) -> Self:
        """Take the uid of a saved instance, or of the estimator."""
        return self._resetUid(uid)

    def take_params(self, other: Params) -> Self:
        """Take the values of the params that another instance has, too, and its uid."""
        return other._copyValues(self)._resetUid(other.uid)


class ModelParams(CheckedParams, HasFeaturesCol, HasPredictionCol):
    """What every estimator and its model have in common."""

    inputs: Param[Mapping[str, Any]] = param(
        "inputs",
        "columns by the names of the model's inputs, a list of columns for an input of several "
        "numbers; instead of featuresCol",
        input_columns,
    )
    outputCols: Param[Mapping[str, str]] = param(
        "outputCols",
        "new columns by the names of the model's outputs, for models with several",
        column_names,
    )

    customObjects: Param[Mapping[str, Any]] = param(
        "customObjects",
        "classes and functions that the Keras model needs, by the names under which they are "
        "registered",
        named(lambda name, value: value),
    )

    def setFeaturesCol(self, value: str) -> Self:
        """Set the column of the model's only input."""
        return self.setParams(featuresCol=value)

    def setPredictionCol(self, value: str) -> Self:
        """Set the name of the new column of predictions."""
        return self.setParams(predictionCol=value)


class SavedModelParams(ModelParams):
    """What `TFEstimator` and `TFModel` have in common."""

    def __init__(self) -> None:
        super().__init__()
        self.set_defaults(signature="serving_default")

    signature: Param[str] = param("signature", "name of the signature of a SavedModel", text)


class FitParams(CheckedParams, HasValidationIndicatorCol):
    """How the nodes of a fit run, and which rows they get."""

    def __init__(self) -> None:
        super().__init__()
        self.set_defaults(epochs=1, shuffle=True, numWorkers=1)

    epochs: Param[int] = param("epochs", "number of passes over the rows", integer(1))
    shuffle: Param[bool] = param("shuffle", "whether each epoch has a new order of rows", switch)
    seed: Param[int] = param(
        "seed", "seed of weights, orders and the choice of validation rows", integer(0)
    )
    numWorkers: Param[int] = param("numWorkers", "number of nodes that train", integer(1))
    clusterSettings: Param[Mapping[str, Any]] = param(
        "clusterSettings",
        "further settings of the nodes: fields of tsm.ClusterConfig",
        cluster_settings,
    )
    validationFraction: Param[float] = param(
        "validationFraction", "part of the rows to validate with, chosen at random", fraction
    )
    validationData: Param[Any] = param(
        "validationData", "a DataFrame of rows to validate with", data_frame
    )

    def setValidationIndicatorCol(self, value: str) -> Self:
        """Set the boolean column that is true for rows to validate with."""
        return self.setParams(validationIndicatorCol=value)

    def check_fit(self) -> None:
        """Check that the params of this class go together.

        Raises:
            ConfigurationError: They do not.
        """
        ways = ("validationFraction", "validationIndicatorCol", "validationData")
        if len(given := [name for name in ways if self.value(name) is not None]) > 1:
            raise ConfigurationError(f"{' and '.join(given)} are set; one of them is enough")
        make_config(self.settings())

    def settings(self) -> ClusterSettings:
        """Return the settings of the nodes."""
        others = self.value("clusterSettings") or {}
        return cast("ClusterSettings", {"num_workers": self.value("numWorkers"), **others})


class PredictionParams(ModelParams, HasProbabilityCol, HasRawPredictionCol):
    """What `KerasEstimator` and `KerasModel` have in common."""

    labels: Param[list[Any]] = param(
        "labels",
        "the values of labelCol that the model's classes 0, 1, … stand for, such as strings",
        classes,
    )

    def setProbabilityCol(self, value: str) -> Self:
        """Set the name of the new column of probabilities; an empty one leaves it out."""
        return self.setParams(probabilityCol=value)

    def setRawPredictionCol(self, value: str) -> Self:
        """Set the name of the new column of logits; an empty one leaves it out."""
        return self.setParams(rawPredictionCol=value)


class TrainingParams(PredictionParams, FitParams, HasLabelCol, HasWeightCol):
    """The params of `KerasEstimator`."""

    def __init__(self) -> None:
        super().__init__()
        self.set_defaults(batchSize=32, mixedPrecision=False)

    model: Param[Any] = param(
        "model",
        "a function that returns a Keras model, which is called on the nodes; a Keras model; or "
        "the path of a .keras file",
        model,
    )
    modelArgs: Param[Mapping[str, Any]] = param(
        "modelArgs",
        "keyword arguments of the function that returns the model, such as sizes of layers",
        named(lambda name, value: value),
    )
    optimizer: Param[Any] = param(
        "optimizer", "optimizer to compile the model with: a name or one of Keras", identifier
    )
    loss: Param[Any] = param(
        "loss", "loss to compile the model with: a name, one of Keras, or a function", identifier
    )
    metrics: Param[list[Any]] = param(
        "metrics", "metrics to compile the model with: names or those of Keras", identifiers
    )
    labelCols: Param[Mapping[str, str]] = param(
        "labelCols",
        "columns of labels by the names of the model's outputs, for models with several",
        column_names,
    )
    classWeights: Param[Mapping[Any, float]] = param(
        "classWeights", "weights of rows by the value of their label", weights_of_classes
    )
    clusterSettings: Param[Mapping[str, Any]] = param(
        "clusterSettings",
        "further settings of the nodes: fields of tsm.ClusterConfig",
        cluster_settings_for_keras,
    )
    batchSize: Param[int] = param(
        "batchSize",
        "number of rows in a step, over all workers; a multiple of numWorkers",
        integer(1),
    )
    callbacks: Param[Any] = param(
        "callbacks", "Keras callbacks, or a function without arguments that makes them", callbacks
    )
    stepsPerExecution: Param[int] = param(
        "stepsPerExecution", "number of steps in each call of TensorFlow", integer(1)
    )
    mixedPrecision: Param[bool] = param(
        "mixedPrecision", "whether layers compute in float16 where Keras considers it safe", switch
    )
    initialModel: Param[Any] = param(
        "initialModel",
        "what training begins with: a KerasModel, a Keras model or the path of a .keras file",
        lambda name, value: model(name, value, functions=False),
    )
    checkpointDir: Param[str] = param(
        "checkpointDir",
        "folder that all nodes see, for the state after each epoch; a fit that was cut off goes "
        "on from there",
        path,
    )

    def setLabelCol(self, value: str) -> Self:
        """Set the column of labels."""
        return self.setParams(labelCol=value)

    def setWeightCol(self, value: str) -> Self:
        """Set the column of the rows' weights."""
        return self.setParams(weightCol=value)
