"""The params of `TFEstimator` and `TFModel`, except those of the nodes.

Programs may make classes of their own of them: `class Mine(TFParams, HasBatchSize, HasSteps)`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tensorflowonspark.namespace import Namespace
from tensorsparkml.checks import Check, integer, named, optional, refuse, text
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.params import CheckedParams, param

if TYPE_CHECKING:
    from pyspark.ml.param import Param

Stage = TypeVar("Stage", bound=CheckedParams)


def put(stage: Stage, name: str, value: Any) -> Stage:
    """Set a param and return the stage; None is a value here, and no reason for the default."""
    stage.set(stage.getParam(name), value)
    return stage


def whole(low: int) -> Check:
    """Return a check for integers of at least `low`, among them floats as `6.0`."""
    check = integer(low)

    def as_integer(name: str, value: Any) -> Any:
        is_whole = isinstance(value, float) and value.is_integer()
        return check(name, int(value) if is_whole else value)

    return as_integer


def string(name: str, value: Any) -> str:
    """Check for a string or a path, which becomes a string."""
    if not isinstance(value, str | os.PathLike):
        refuse(name, "a string", value)
    return os.fspath(value)


class TFTypeConverters:
    """What Spark's `TypeConverters` do not have."""

    @staticmethod
    def toDict(value: Any) -> dict[Any, Any]:
        """Return a dict as it is.

        Raises:
            TypeError: It is none, as Spark expects it of converters.
        """
        if not isinstance(value, dict):
            raise TypeError(f"a dict is needed, not {value!r}")
        return value


class TFParams(CheckedParams):
    """Arguments of a program beside params.

    Attributes:
        args: The arguments, as for `Namespace`.
    """

    args: Any = None

    def merge_args_params(self) -> Namespace:
        """Return the arguments and all params, which take the place of arguments of their names.

        Raises:
            ConfigurationError: A param has neither a value nor a default.
        """
        merged = Namespace(self.args)
        for each in self.params:
            if not self.isDefined(each):
                raise ConfigurationError(
                    f"{each.name} of {type(self).__name__} is not set, and has no default"
                )
            setattr(merged, each.name, self.getOrDefault(each))
        return merged


class HasBatchSize(CheckedParams):
    """Has `batch_size`."""

    batch_size: Param[int | None] = param(
        "batch_size", "number of rows in a batch", optional(whole(1))
    )

    def setBatchSize(self, value: int | None) -> Self:
        """Set the number of rows in a batch."""
        return put(self, "batch_size", value)

    def getBatchSize(self) -> int | None:
        """Return the number of rows in a batch."""
        return self.getOrDefault(self.batch_size)


class HasEpochs(CheckedParams):
    """Has `epochs`."""

    epochs: Param[int] = param("epochs", "number of times that the rows are fed", whole(0))

    def setEpochs(self, value: int) -> Self:
        """Set how many times the rows are fed; 0 means ten."""
        return put(self, "epochs", value)

    def getEpochs(self) -> int:
        """Return how many times the rows are fed."""
        return self.getOrDefault(self.epochs)


class HasSteps(CheckedParams):
    """Has `steps`."""

    steps: Param[int | None] = param(
        "steps", "largest number of steps, for the program", optional(whole(0))
    )

    def setSteps(self, value: int | None) -> Self:
        """Set the largest number of steps, which only the program reads."""
        return put(self, "steps", value)

    def getSteps(self) -> int | None:
        """Return the largest number of steps."""
        return self.getOrDefault(self.steps)


class HasInputMapping(CheckedParams):
    """Has `input_mapping`."""

    input_mapping: Param[dict[str, str]] = param(
        "input_mapping", "names of input tensors by the columns that they get", named(text)
    )

    def setInputMapping(self, value: Mapping[str, str]) -> Self:
        """Set the names of input tensors by the columns that they get."""
        return put(self, "input_mapping", value)

    def getInputMapping(self) -> dict[str, str]:
        """Return the names of input tensors by columns."""
        return self.getOrDefault(self.input_mapping)


class HasOutputMapping(CheckedParams):
    """Has `output_mapping`."""

    output_mapping: Param[dict[str, str]] = param(
        "output_mapping", "new columns by the output tensors that they get", named(text)
    )

    def setOutputMapping(self, value: Mapping[str, str]) -> Self:
        """Set the names of new columns by the output tensors that they get."""
        return put(self, "output_mapping", value)

    def getOutputMapping(self) -> dict[str, str]:
        """Return the names of new columns by output tensors."""
        return self.getOrDefault(self.output_mapping)


class HasModelDir(CheckedParams):
    """Has `model_dir`."""

    model_dir: Param[str | None] = param(
        "model_dir", "folder for checkpoints, for the program", optional(string)
    )

    def setModelDir(self, value: str | None) -> Self:
        """Set the folder for checkpoints, which only the program reads."""
        return put(self, "model_dir", value)

    def getModelDir(self) -> str | None:
        """Return the folder for checkpoints."""
        return self.getOrDefault(self.model_dir)


class HasExportDir(CheckedParams):
    """Has `export_dir`."""

    export_dir: Param[str | None] = param("export_dir", "folder of a SavedModel", optional(string))

    def setExportDir(self, value: str | None) -> Self:
        """Set the folder of the SavedModel that the program writes and a `TFModel` loads."""
        return put(self, "export_dir", value)

    def getExportDir(self) -> str | None:
        """Return the folder of the SavedModel."""
        return self.getOrDefault(self.export_dir)


class HasTFRecordDir(CheckedParams):
    """Has `tfrecord_dir`."""

    tfrecord_dir: Param[str | None] = param(
        "tfrecord_dir", "folder of TFRecords, for the program", optional(string)
    )

    def setTFRecordDir(self, value: str | None) -> Self:
        """Set a folder of TFRecords, which only the program reads."""
        return put(self, "tfrecord_dir", value)

    def getTFRecordDir(self) -> str | None:
        """Return the folder of TFRecords."""
        return self.getOrDefault(self.tfrecord_dir)


class HasSignatureDefKey(CheckedParams):
    """Has `signature_def_key`."""

    signature_def_key: Param[str | None] = param(
        "signature_def_key", "name of a signature of the SavedModel", optional(string)
    )

    def __init__(self) -> None:
        super().__init__()
        self.set_defaults(signature_def_key=None)

    def setSignatureDefKey(self, value: str | None) -> Self:
        """Set the name of the signature; None means `serving_default`."""
        return put(self, "signature_def_key", value)

    def getSignatureDefKey(self) -> str | None:
        """Return the name of the signature."""
        return self.getOrDefault(self.signature_def_key)


class HasTagSet(CheckedParams):
    """Has `tag_set`."""

    tag_set: Param[str | None] = param(
        "tag_set", "tags of the graph in the SavedModel, with commas", optional(string)
    )

    def setTagSet(self, value: str | None) -> Self:
        """Set the tags of the graph in the SavedModel: `serve`, or None."""
        return put(self, "tag_set", value)

    def getTagSet(self) -> str | None:
        """Return the tags of the graph in the SavedModel."""
        return self.getOrDefault(self.tag_set)
