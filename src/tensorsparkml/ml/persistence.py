"""Estimators and models in folders, in the layout of Spark ML.

`metadata/` has JSON, written and read by Spark. Beside it are the files of the model, and
`callables.pickle` with the user's own functions, classes and callbacks, where there are any.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from pyspark.ml.util import (
    DefaultParamsReader,
    DefaultParamsWriter,
    MLReadable,
    MLReader,
    MLWritable,
    MLWriter,
)

from tensorsparkml._version import __version__
from tensorsparkml.driver.spark.private_api import path_exists, read_file, write_file
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.ml.param_checks import is_data_frame
from tensorsparkml.ml.params import CheckedParams
from tensorsparkml.program.pickling import pickled

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FORMAT = 1  # of the folders; a newer one is refused
_CALLABLES = "callables.pickle"


class NewFolder:
    """A folder that is written: files first, and at last the metadata, without which it is none.

    Args:
        spark: The session.
        path: The folder, on any filesystem that Spark knows.

    Raises:
        ConfigurationError: It exists.
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.spark, self._path = spark, path.rstrip("/")
        self._digests: dict[str, str] = {}
        if path_exists(spark, path):
            raise ConfigurationError(
                f"{path} exists already; to replace it, use write().overwrite().save(path)"
            )

    def add(self, name: str, content: bytes) -> None:
        """Write a file."""
        write_file(self.spark, f"{self._path}/{name}", content)
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
            instance, self._path, self.spark, extraMetadata=extra, paramMap=written
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


class SavedFolder:
    """A folder that was written.

    Args:
        spark: The session.
        path: The folder.
        kind: Name of the class that was saved.

    Attributes:
        path: The folder.
        metadata: What Spark has written.
        others: What this library has added to it.

    Raises:
        DataError: There is nothing, or only a part of it.
        ConfigurationError: Something else is there, or it is of a newer version.
    """

    def __init__(self, spark: SparkSession, path: str, kind: str) -> None:
        self._spark, self.path = spark, path.rstrip("/")
        self.metadata = self._read(kind)
        self.others = cast("dict[str, Any]", self.metadata["tensorsparkml"])

    @property
    def files(self) -> list[str]:
        """Names of the files."""
        return list(self.others["files"])

    @property
    def params(self) -> list[str]:
        """Names of the params whose values are JSON."""
        return [*self.metadata["paramMap"], *self.metadata["defaultParamMap"]]

    def file(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            DataError: It is missing, or was changed.
        """
        content = read_file(self._spark, f"{self.path}/{name}")
        if hashlib.sha256(content).hexdigest() != self.others["files"].get(name):
            raise DataError(
                f"{self.path}/{name} is not the file that was saved, or not all of it; save it "
                "again"
            )
        return content

    def callables(self) -> dict[str, Any]:
        """Return the values of params that were pickled, by their names."""
        found: dict[str, Any] = {}
        return pickle.loads(self.file(_CALLABLES)) if self.others["callables"] else found

    def _read(self, kind: str) -> dict[str, Any]:
        from pyspark.errors import AnalysisException

        path = self.path
        if not path_exists(self._spark, f"{path}/metadata"):
            raise DataError(f"there is no {kind} in {path}, or not all of it")
        try:
            found: dict[str, Any] = DefaultParamsReader.loadMetadata(path, self._spark)
        except (AnalysisException, TypeError, ValueError, KeyError) as error:
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


class Saveable(CheckedParams, MLWritable, MLReadable[Any]):
    """An estimator or a model that can be saved."""

    def write(self) -> StageWriter:
        """Return what saves it.

        Raises:
            ConfigurationError: One of its params is a DataFrame.
        """
        for name, value in self.values_set().items():
            if is_data_frame(value):
                raise ConfigurationError(
                    f"{name} is a DataFrame, which cannot be saved; clear it: "
                    f"setParams({name}=None)"
                )
        return StageWriter(self)

    @classmethod
    def read(cls) -> StageReader[Self]:
        """Return what loads a saved one."""
        return StageReader(cls)

    def check_target(self, spark: SparkSession, path: str) -> None:
        """Refuse a folder that cannot be replaced."""

    def save_content(self, folder: NewFolder) -> dict[str, Any]:
        """Write what is not in the params; called on a copy, whose params it may clear.

        Returns:
            What the metadata is to have besides, as JSON has it.
        """
        return {}

    def load_content(self, folder: SavedFolder) -> None:
        """Take back what `save_content` has written."""


Stage = TypeVar("Stage", bound=Saveable)


class StageWriter(MLWriter):
    """Saves an estimator or a model."""

    def __init__(self, instance: Saveable) -> None:
        super().__init__()
        self._instance = instance

    def save(self, path: str) -> None:
        """Write the folder, or replace it after `overwrite()`."""
        self._instance.check_target(self.sparkSession, path)  # before the old one is deleted
        super().save(path)

    def saveImpl(self, path: str) -> None:  # Spark's name
        """Write the folder."""
        written = self._instance.copy()
        folder = NewFolder(self.sparkSession, path)
        folder.complete(written, written.save_content(folder))


class StageReader(MLReader[Any], Generic[Stage]):
    """Loads what `StageWriter` has saved."""

    def __init__(self, kind: type[Stage]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Stage:
        """Return what was saved.

        Raises:
            DataError: There is nothing, or a part of it is missing or was changed.
            ConfigurationError: Something else is there, or it is of a newer version.
        """
        folder = SavedFolder(self.sparkSession, path, self._kind.__name__)
        instance = self._kind()
        instance.take_uid(folder.metadata["uid"])
        if unknown := [name for name in folder.params if not instance.hasParam(name)]:
            raise ConfigurationError(
                f"{path} was written by version {folder.others['version']} of this library, with "
                f"the params {', '.join(unknown)}, which this version, {__version__}, does not "
                "know; install a newer version"
            )
        DefaultParamsReader.getAndSetParams(cast("Any", instance), folder.metadata)
        instance.setParams(**folder.callables())
        instance.load_content(folder)
        return instance
