"""`TFModel`: a model in a folder, as a stage of a pipeline."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any

from pyspark.ml import Model
from pyspark.ml.param import Param

from tensorsparkml.checks import path
from tensorsparkml.driver.spark.private_api import default_filesystem
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.inference.load import load_model
from tensorsparkml.inference.outputs import Output
from tensorsparkml.inference.predictor import Predictor
from tensorsparkml.ml.columns import features_of, numbers_of
from tensorsparkml.ml.params import SavedModelParams, param
from tensorsparkml.ml.persistence import NewFolder, Saveable, SavedFolder
from tensorsparkml.storage import absolute_path, filesystem_of, translated_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FOLDER = "model"


class TFModel(SavedModelParams, Saveable, Model):
    """A model in a folder, which adds its predictions to DataFrames.

    A model with one output adds `predictionCol`. One with several outputs adds `outputCols`, or
    else columns with the names of the outputs.

    ```python
    model = TFModel("hdfs:///models/churn", featuresCol="x")
    scored = model.transform(df)
    ```

    Args:
        modelPath: A SavedModel, such as `ctx.export` writes, or a `.keras` file, on any filesystem
            that fsspec supports. The driver and all executors read it.
        params: Any other params, by their names; see `explainParams()`.

    Raises:
        ConfigurationError: There is no such param, or a value is not valid.
    """

    modelPath: Param[str] = param(
        "modelPath", "a SavedModel, or a .keras file, that all executors can read", path
    )

    def __init__(self, modelPath: Any = None, **params: Any) -> None:
        super().__init__()
        self.setParams(modelPath=modelPath, **params)

    def predictor(self, spark: SparkSession) -> Predictor:
        """Return the model as `tsm.load_model` does, for columns, SQL and streams.

        Raises:
            ConfigurationError: `modelPath` is not set, or the model has no such signature.
            DataError: The model cannot be read.
        """
        return load_model(
            self._path(),
            spark=spark,
            signature=self.value("signature"),
            custom_objects=self.value("customObjects"),
        )

    def check_target(self, spark: SparkSession, path: str) -> None:
        """Refuse the folder that the model's own files are in; see `Saveable`."""
        own, target = _absolute(spark, self._path()), _absolute(spark, path)
        if f"{own}/".startswith(f"{target.rstrip('/')}/"):
            raise ConfigurationError(
                f"{path} has the files of this model itself, which would be deleted before they "
                "are copied; save it in another folder"
            )

    def save_content(self, folder: NewFolder) -> dict[str, Any]:
        """Copy the files of the model; see `Saveable`."""
        source = _absolute(folder.spark, self._path())
        self.clear(self.modelPath)
        with translated_errors(f"read {source}"):
            filesystem, root = filesystem_of(source)
            single = filesystem.isfile(root)
            files = filesystem.find(root)
            for file in files:
                name = posixpath.basename(file) if single else posixpath.relpath(file, root)
                folder.add(f"{_FOLDER}/{name}", filesystem.cat_file(file))
        if not files:
            raise DataError(f"there is no model in {source} any more")
        return {"model": f"{_FOLDER}/{posixpath.basename(root)}" if single else _FOLDER}

    def load_content(self, folder: SavedFolder) -> None:
        """Check the files of the model, which stay where they are; see `Saveable`."""
        for name in folder.files:
            if name.startswith(f"{_FOLDER}/"):
                folder.file(name)
        self.setParams(modelPath=f"{folder.path}/{folder.others['model']}")

    def _path(self) -> str:
        found = self.value("modelPath")
        if found is None:
            raise ConfigurationError("modelPath is needed: TFModel(path)")
        return str(found)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        predictor = self.predictor(dataset.sparkSession)
        inputs, outputs = predictor.signature.inputs, predictor.signature.outputs
        features: Any = None  # columns that are named as the inputs
        if self.value("inputs") is not None or len(inputs) == 1:
            features = features_of(self.value("inputs"), self.getFeaturesCol())
        columns = self.value("outputCols")
        if columns is None and len(outputs) == 1:
            wanted = {self.getPredictionCol(): numbers_of(outputs[0])}
        else:
            columns = columns or {each.name: each.name for each in outputs}
            wanted = {column: Output(name) for name, column in columns.items()}
        return predictor.transform(dataset, features=features, outputs=wanted)


def _absolute(spark: SparkSession, path: str) -> str:
    return absolute_path(path, default_filesystem(spark), os.getcwd())
