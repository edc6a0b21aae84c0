"""Estimators and models in folders, in the layout of Spark ML.

`metadata/` has JSON, written and read by Spark. Beside it are `model.keras`, and
`callables.pickle` with the user's own functions, classes and callbacks, where there are any.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReader, MLWriter

from tensorsparkml._version import __version__
from tensorsparkml.driver.spark.private_api import path_exists, read_file, write_file
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.ml.fitting.plan import Task
from tensorsparkml.ml.keras_files import given_archive, load_archive
from tensorsparkml.ml.param_checks import is_function
from tensorsparkml.ml.params import CheckedParams
from tensorsparkml.ml.summary import TrainingSummary
from tensorsparkml.program.pickling import pickled

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tensorsparkml.ml.estimator import KerasEstimator
    from tensorsparkml.ml.model import KerasModel

Saved = TypeVar("Saved", bound=CheckedParams)

FORMAT = 1  # of the folders; a newer one is refused
_MODEL, _INITIAL, _CALLABLES = "model.keras", "initial.keras", "callables.pickle"


class _Folder:
    """A folder that is written: files first, and at last the metadata, without which it is none."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self._spark, self._path = spark, path.rstrip("/")
        self._digests: dict[str, str] = {}
        if path_exists(spark, path):
            raise ConfigurationError(
                f"{path} exists already; to replace it, use write().overwrite().save(path)"
            )

    def add(self, name: str, content: bytes) -> None:
        """Write a file."""
        write_file(self._spark, f"{self._path}/{name}", content)
        self._digests[name] = hashlib.sha256(content).hexdigest()

    def complete(self, instance: CheckedParams, others: dict[str, Any]) -> None:
        """Write the metadata.

        Args:
            instance: The estimator or the model, whose params are written as far as JSON has them;
                the others are pickled.
            others: What else is to be written.
        """
        written: dict[str, Any] = {}
        called: dict[str, Any] = {}
        for name, value in instance.values_set().items():
            (written if _is_json(value) else called)[name] = value
        if called:
            functions = [each for value in called.values() for each in _functions(value)]
            self.add(_CALLABLES, pickled(", ".join(called), called, functions))
        extra = {
            "tensorsparkml": {
                "version": __version__,
                "format": FORMAT,
                "files": self._digests,
                "callables": sorted(called),
                **others,
            }
        }
        DefaultParamsWriter.saveMetadata(
            instance, self._path, self._spark, extraMetadata=extra, paramMap=written
        )


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _functions(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for inner in value.values() for each in _functions(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in _functions(inner)]
    return [value]


class ModelWriter(MLWriter):
    """Saves a `KerasModel`."""

    def __init__(self, instance: KerasModel) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:  # Spark's name
        """Write the folder."""
        model = self._instance
        folder = _Folder(self.sparkSession, path)
        folder.add(_MODEL, model.archive)
        others = {
            "signature": model.signature.to_json(),
            "task": None if model.task is None else model.task.name,
            "from_logits": model.from_logits,
            "summary": model.summary.to_json() if model.hasSummary else None,
        }
        folder.complete(model, others)


class EstimatorWriter(MLWriter):
    """Saves a `KerasEstimator`."""

    def __init__(self, instance: KerasEstimator) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:  # Spark's name
        """Write the folder."""
        estimator = self._instance.copy()
        if estimator.value("validationData") is not None:
            raise ConfigurationError(
                "validationData is a DataFrame, which cannot be saved; use validationIndicatorCol, "
                "or clear it: estimator.clear(estimator.validationData)"
            )
        folder = _Folder(self.sparkSession, path)
        for name, file in (("model", _MODEL), ("initialModel", _INITIAL)):
            given = estimator.value(name)
            if given is not None and not isinstance(given, str) and not is_function(given):
                folder.add(file, given_archive(self.sparkSession, given))
                estimator.clear(estimator.getParam(name))
        folder.complete(estimator, {})


class _Reader(MLReader[Any], Generic[Saved]):
    """Loads what `_Folder` wrote."""

    def __init__(self, kind: type[Saved]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Saved:
        """Return what was saved.

        Raises:
            DataError: There is nothing, or a part of it is missing or was changed.
            ConfigurationError: Something else is there, or it is of a newer version.
        """
        path = path.rstrip("/")
        metadata = self._metadata(path)
        others = cast("dict[str, Any]", metadata["tensorsparkml"])
        instance = self._kind()
        instance.take_uid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(cast("Any", instance), metadata)
        if others["callables"]:
            for name, value in pickle.loads(self._file(path, _CALLABLES, others)).items():
                instance.set(instance.getParam(name), value)
        self._complete(instance, path, others)
        return instance

    def _complete(self, instance: Saved, path: str, others: dict[str, Any]) -> None:
        """Give the instance what is not in its params."""
        raise NotImplementedError

    def _metadata(self, path: str) -> dict[str, Any]:
        from pyspark.errors import AnalysisException

        kind = self._kind.__name__
        try:
            found: dict[str, Any] = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        except AnalysisException as error:
            raise DataError(
                f"there is no {kind} in {path}, or not all of it: {error.getCondition()}"
            ) from error
        except (TypeError, ValueError, KeyError) as error:
            raise DataError(f"the metadata in {path} is damaged: {error}") from error
        name = str(found["class"]).rpartition(".")[2]
        if name != kind:
            raise ConfigurationError(f"{path} has a {name}, not a {kind}; load it with {name}.load")
        others = found.get("tensorsparkml")
        if not isinstance(others, dict) or "format" not in others:
            raise DataError(f"the metadata in {path} is damaged: it names no format")
        if others["format"] > FORMAT:
            raise ConfigurationError(
                f"{path} was written by version {others['version']} of this library, whose format "
                f"this version, {__version__}, does not know; install a newer version"
            )
        return found

    def _file(self, path: str, name: str, others: dict[str, Any]) -> bytes:
        content = read_file(self.sparkSession, f"{path}/{name}")
        if hashlib.sha256(content).hexdigest() != others["files"].get(name):
            raise DataError(
                f"{path}/{name} is not the file that was saved, or not all of it; save it again"
            )
        return content


class ModelReader(_Reader[Saved]):
    """Loads a `KerasModel`."""

    def _complete(self, instance: Saved, path: str, others: dict[str, Any]) -> None:
        model = cast("KerasModel", instance)
        model.archive = self._file(path, _MODEL, others)
        model.signature = Signature.from_json(others["signature"])
        model.task = None if others["task"] is None else Task[others["task"]]
        model.from_logits = others["from_logits"]
        if others["summary"] is not None:
            model._summary = TrainingSummary(**others["summary"])


class EstimatorReader(_Reader[Saved]):
    """Loads a `KerasEstimator`; a Keras model in it is loaded into this process."""

    def _complete(self, instance: Saved, path: str, others: dict[str, Any]) -> None:
        for name, file in (("model", _MODEL), ("initialModel", _INITIAL)):
            if file in others["files"]:
                model = load_archive(self._file(path, file, others))
                instance.set(instance.getParam(name), model)
