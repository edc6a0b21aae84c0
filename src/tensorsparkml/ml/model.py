"""`KerasModel`: a trained Keras model, as a stage of a pipeline."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

from pyspark.ml import Model

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.inference.models.source import KerasArchive, Kind, ModelSource
from tensorsparkml.inference.outputs import VECTOR, Output
from tensorsparkml.inference.predictor import Predictor
from tensorsparkml.ml.columns import features_of, numbers_of
from tensorsparkml.ml.fitting.plan import Task, Trained
from tensorsparkml.ml.keras_files import ArchivedModel, load_archive
from tensorsparkml.ml.params import PredictionParams
from tensorsparkml.ml.persistence import NewFolder, Saveable, SavedFolder
from tensorsparkml.ml.probabilities import Class, Logits, Probabilities
from tensorsparkml.ml.summary import TrainingSummary
from tensorsparkml.program.pickling import pickled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


_FILE = "model.keras"


class KerasModel(PredictionParams, ArchivedModel, Saveable, Model):
    """A trained Keras model, which adds its predictions to DataFrames.

    A classifier adds `predictionCol`, `probabilityCol` and `rawPredictionCol`, as those of Spark
    ML do: the number of the class as a double, and vectors of probabilities and logits. Another
    model with one output adds `predictionCol`. One with several outputs adds `outputCols`, or else
    columns with the names of the outputs.

    `KerasEstimator.fit` and `KerasModel.load` return one.

    Attributes:
        archive: The model, as the content of a `.keras` file.
        signature: What it takes and gives.
        task: What it is for; None for several outputs.
        from_logits: Whether its output is logits, and not probabilities.
    """

    signature: Signature
    task: Task | None
    from_logits: bool

    @classmethod
    def of(cls, trained: Trained, summary: TrainingSummary | None) -> Self:
        """Return the model of a fit; not for users."""
        found = cls()
        found.archive, found.signature = trained.archive, trained.signature
        found.task, found.from_logits = trained.task, trained.from_logits
        found._summary = summary
        return found

    def __init__(self) -> None:
        super().__init__()
        self._summary: TrainingSummary | None = None
        self._broadcasts: dict[str, Any] = {}

    @property
    def hasSummary(self) -> bool:  # Spark's name
        """Whether there is a summary."""
        return self._summary is not None

    @property
    def summary(self) -> TrainingSummary:
        """How the fit went.

        Raises:
            ConfigurationError: There is no summary.
        """
        if self._summary is None:
            raise ConfigurationError(f"{self.uid} has no summary")
        return self._summary

    @property
    def numClasses(self) -> int:  # Spark's name
        """Number of classes of a classifier.

        Raises:
            ConfigurationError: It is no classifier.
        """
        if self.task is Task.BINARY:
            return 2
        shape = self.signature.outputs[0].row_shape
        if self.task is not Task.MULTICLASS or not shape or shape[-1] is None:
            raise ConfigurationError(f"{self.uid} is no classifier")
        return shape[-1]

    def keras_model(self) -> Any:
        """Return the Keras model, which loads TensorFlow into this process."""
        return load_archive(self.archive, custom_objects=self.value("customObjects"))

    def predictor(self, spark: SparkSession) -> Predictor:
        """Return the model as `tsm.load_model` does, for columns, SQL and streams."""
        context = spark.sparkContext
        if context.applicationId not in self._broadcasts:
            self._broadcasts[context.applicationId] = context.broadcast(self.archive)
        content = self._broadcasts[context.applicationId]
        objects = self.value("customObjects") or {}
        source = ModelSource(
            Kind.KERAS,
            None,
            pickled=pickled("customObjects", (None, objects), list(objects.values()))
            if objects
            else None,
            archive=KerasArchive(hashlib.sha256(self.archive).hexdigest(), content),
        )
        return Predictor(source, self.signature, (), spark, None)

    def save_content(self, folder: NewFolder) -> dict[str, Any]:
        """Write the model and what is known of it; see `Saveable`."""
        folder.add(_FILE, self.archive)
        return {
            "signature": self.signature.to_json(),
            "task": None if self.task is None else self.task.name,
            "from_logits": self.from_logits,
            "summary": self.summary.to_json() if self.hasSummary else None,
        }

    def load_content(self, folder: SavedFolder) -> None:
        """Take the model and what is known of it; see `Saveable`."""
        found = folder.others
        self.archive = folder.file(_FILE)
        self.signature = Signature.from_json(found["signature"])
        self.task = None if found["task"] is None else Task[found["task"]]
        self.from_logits = found["from_logits"]
        self._summary = TrainingSummary(**found["summary"]) if found["summary"] else None

    def _transform(self, dataset: DataFrame) -> DataFrame:
        features = features_of(self.value("inputs"), self.getFeaturesCol())
        outputs = self._outputs()
        found = self.predictor(dataset.sparkSession).transform(
            dataset, features=features, outputs=outputs
        )
        labels, column = self.value("labels"), self.getPredictionCol()
        if labels is None or column not in outputs:
            return found
        # By which Spark's IndexToString finds the classes.
        named = {"type": "nominal", "name": column, "vals": [_text(each) for each in labels]}
        return found.withMetadata(column, {"ml_attr": named})

    def _outputs(self) -> dict[str, Output]:
        """Return the new columns."""
        specs = self.signature.outputs
        if (columns := self.value("outputCols")) is not None or self.task is None:
            names = columns or {each.name: each.name for each in specs}
            return {column: Output(name) for name, column in names.items()}
        [spec] = specs
        column = self.getPredictionCol()
        if self.task is Task.REGRESSION:
            return {column: numbers_of(spec)}
        how = (self.task is Task.BINARY, self.from_logits)
        wanted = {
            self.getRawPredictionCol(): Output(spec.name, VECTOR, function=Logits(*how)),
            self.getProbabilityCol(): Output(spec.name, VECTOR, function=Probabilities(*how)),
            column: Output(spec.name, "double", function=Class(*how)),
        }
        return {name: output for name, output in wanted.items() if name}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
