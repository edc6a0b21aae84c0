"""`KerasEstimator`: trains a Keras model on a DataFrame, as a stage of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml import Estimator

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.columns import features_of
from tensorsparkml.ml.fitting.plan import FitPlan, ModelPlan, Refused, Trained
from tensorsparkml.ml.fitting.rows import WEIGHT, Columns
from tensorsparkml.ml.fitting.run_fit import RowSets, row_sets, run_fit
from tensorsparkml.ml.fitting.search import FitInGroups
from tensorsparkml.ml.fitting.training import fit
from tensorsparkml.ml.keras_files import given_archive, load_archive
from tensorsparkml.ml.model import KerasModel
from tensorsparkml.ml.param_checks import is_function
from tensorsparkml.ml.params import TrainingParams
from tensorsparkml.ml.persistence import NewFolder, Saveable, SavedFolder
from tensorsparkml.ml.summary import TrainingSummary
from tensorsparkml.program.pickling import pickled

if TYPE_CHECKING:
    from pyspark.ml.param import Param
    from pyspark.sql import DataFrame

# The files of Keras models that are params.
_FILES = {"model": "model.keras", "initialModel": "initial.keras"}


class KerasEstimator(TrainingParams, Saveable, Estimator[KerasModel]):
    """Trains a Keras model on the executors.

    ```python
    estimator = KerasEstimator(build_model, labelCol="late", epochs=5, numWorkers=2)
    model = Pipeline(stages=[assembler, estimator]).fit(train)
    ```

    Args:
        model: A function that returns a Keras model, compiled or not, and gets `modelArgs`; a Keras
            model; or the path of a `.keras` file.
        params: Any other params, by their names; see `explainParams()`.

    Raises:
        ConfigurationError: There is no such param, or a value is not valid.
    """

    def __init__(self, model: Any = None, **params: Any) -> None:
        super().__init__()
        self.setParams(model=model, **params)

    def fitMultiple(
        self, dataset: DataFrame, paramMaps: Sequence[Mapping[Param[Any], Any]]
    ) -> Iterator[tuple[int, KerasModel]]:
        """Fit a model for each param map; see `pyspark.ml.Estimator.fitMultiple`.

        Param maps that change only the model and its training share their nodes, to which the rows
        are sent once.

        Args:
            dataset: The rows.
            paramMaps: The param maps.

        Returns:
            An iterator of indices and models, which several threads may use.
        """
        estimators = [self.copy(dict(each)) for each in paramMaps]
        return FitInGroups(estimators, lambda group: fit_together(dataset, group))

    def save_content(self, folder: NewFolder) -> dict[str, Any]:
        """Write Keras models among the params; see `Saveable`."""
        for name, file in _FILES.items():
            given = self.value(name)
            if given is not None and not isinstance(given, str) and not is_function(given):
                folder.add(file, given_archive(folder.spark, given))
                self.clear(self.getParam(name))
        return {}

    def load_content(self, folder: SavedFolder) -> None:
        """Load Keras models into this process; see `Saveable`."""
        for name, file in _FILES.items():
            if file in folder.files:
                self.setParams(**{name: load_archive(folder.file(file))})

    def _fit(self, dataset: DataFrame) -> KerasModel:
        [model] = fit_together(dataset, [self])
        return model

    def columns(self) -> Columns:
        """Return the columns that a fit reads."""
        return Columns(
            features=features_of(self.value("inputs"), self.getFeaturesCol()),
            label=self.value("labelCols") or self.getLabelCol(),
            weight=self.value("weightCol"),
            indicator=self.value("validationIndicatorCol"),
            labels=self.value("labels"),
            class_weights=self.value("classWeights"),
        )


def fit_together(dataset: DataFrame, estimators: Sequence[KerasEstimator]) -> list[KerasModel]:
    """Fit several estimators that need the same rows and the same nodes, one after the other.

    Raises:
        TensorSparkMLError: The rows or the params do not fit, or a node has failed.
    """
    first = estimators[0]
    for each in estimators:
        _check(each)
    columns = first.columns()
    rows = row_sets(dataset, columns, first)
    plans = [_plan(each, dataset, columns, rows) for each in estimators]
    found = run_fit(fit, plans, rows, first)
    reports = found.reports
    counts = [reports[name].rows if name in reports else 0 for name in ("train", "validation")]
    if isinstance(last := found[0][-1], Refused):
        raise ConfigurationError(last.message)
    return [
        _model(each, trained, *counts) for each, trained in zip(estimators, found[0], strict=True)
    ]


def _model(estimator: KerasEstimator, trained: Trained, rows: int, validated: int) -> KerasModel:
    summary = TrainingSummary(trained.history, rows, validated, trained.seconds)
    return KerasModel.of(trained, summary).take_params(estimator)


def _check(estimator: KerasEstimator) -> None:
    """Check that params go together.

    Raises:
        ConfigurationError: They do not.
    """
    if estimator.value("model") is None:
        raise ConfigurationError("model is needed: KerasEstimator(build_model)")
    if estimator.value("modelArgs") and not is_function(estimator.value("model")):
        raise ConfigurationError("modelArgs is for a function that returns the model")
    if estimator.value("stepsPerExecution") and estimator.settings().get("legacy_keras"):
        raise ConfigurationError(
            "stepsPerExecution is for models of Keras 3; Keras 2 would have to know the number of "
            "rows before it reads them"
        )
    size, workers = estimator.value("batchSize"), estimator.value("numWorkers")
    if size % workers:
        raise ConfigurationError(
            f"batchSize is {size}, which is no multiple of numWorkers, {workers}; it is the number "
            f"of rows of a step over all workers, such as {max(1, size // workers) * workers}"
        )
    estimator.check_fit()


def _plan(
    estimator: KerasEstimator,
    dataset: DataFrame,
    columns: Columns,
    rows: RowSets,
) -> FitPlan:
    model, arguments = estimator.value("model"), estimator.value("modelArgs") or {}
    function = model if is_function(model) else None
    custom_objects = estimator.value("customObjects") or {}
    callbacks = estimator.value("callbacks")
    compiled = {
        name: found
        for name in ("optimizer", "loss", "metrics")
        if (found := estimator.value(name)) is not None
    }
    brought = (function, arguments, custom_objects, callbacks, compiled)
    functions = [function, *custom_objects.values(), compiled.get("loss"), callbacks]
    initial, spark = estimator.value("initialModel"), dataset.sparkSession
    return FitPlan(
        model=ModelPlan(
            pickled("the model's function, or what belongs to it", brought, functions),
            None if function else given_archive(spark, model),
            None if initial is None else given_archive(spark, initial),
        ),
        features=columns.features,
        label=columns.label,
        weight=WEIGHT if rows.weighted else None,
        validates=rows.validation is not None,
        labels=rows.labels,
        epochs=estimator.value("epochs"),
        batch_size=estimator.value("batchSize"),
        seed=estimator.value("seed"),
        steps_per_execution=estimator.value("stepsPerExecution"),
        mixed_precision=estimator.value("mixedPrecision"),
        checkpoint=estimator.value("checkpointDir"),
    )
