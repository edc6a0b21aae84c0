"""`TFModel`: applies SavedModels to DataFrames, for the old API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pyspark.ml import Model

import tensorsparkml as tsm
from tensorflowonspark.namespace import Namespace
from tensorflowonspark.params import (
    HasBatchSize,
    HasExportDir,
    HasInputMapping,
    HasModelDir,
    HasOutputMapping,
    HasSignatureDefKey,
    HasTagSet,
    TFParams,
)
from tensorsparkml.driver.spark.columns import positions, select_columns, with_positions
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_EXPORT = (
    "compat.export_saved_model(model, args.export_dir, ctx.job_name == 'chief') in the training "
    "program, and setExportDir"
)
# What TensorFlow's values become in Python, and so in Spark; without numbers of bits.
_SPARK_TYPES = {
    "float": "double",
    "bfloat": "double",
    "int": "bigint",
    "uint": "bigint",
    "bool": "boolean",
    "string": "binary",
}


class TFModel(
    TFParams,
    HasInputMapping,
    HasOutputMapping,
    HasBatchSize,
    HasModelDir,
    HasExportDir,
    HasSignatureDefKey,
    HasTagSet,
    Model,
):
    """A SavedModel in `export_dir`, which Spark's tasks apply to the columns of `input_mapping`.

    The result of `transform` has only the columns of `output_mapping`, in the sorted order of their
    tensors. Tensors have the names that they have in the signature.

    Args:
        tf_args: Arguments, as for `Namespace`.
    """

    def __init__(self, tf_args: Any) -> None:
        super().__init__()
        self.args = Namespace(tf_args)
        self.set_defaults(
            input_mapping={},
            output_mapping={},
            batch_size=100,
            model_dir=None,
            export_dir=None,
            tag_set=None,
        )

    def _transform(self, dataset: DataFrame) -> DataFrame:
        folder = self._folder()
        inputs, outputs = self.getInputMapping(), sorted(self.getOutputMapping().items())
        _require_columns("input_mapping", inputs, "setInputMapping({column: tensor})")
        _require_columns("output_mapping", outputs, "setOutputMapping({tensor: column})")
        chosen = select_columns(dataset, sorted(inputs))
        predictor = tsm.load_model(
            folder,
            spark=dataset.sparkSession,
            signature=self.getSignatureDefKey() or "serving_default",
            batch_size=self.getBatchSize(),
        )
        wanted = [each.name for each in predictor.signature.inputs]
        given = {each.name: each for each in predictor.signature.outputs}
        _check_inputs(inputs, wanted, folder)
        for tensor, _ in outputs:
            if tensor not in given:
                raise _unknown("output_mapping", tensor, "outputs", given, folder)
        predicted = predictor.transform(
            chosen,
            features={tensor: column for column, tensor in inputs.items()},
            # The new columns may have the names of inputs, which are left out in the end.
            outputs={
                f"output {place}": tsm.Output(tensor, type=spark_type(given[tensor]))
                for place, (tensor, _) in enumerate(outputs)
            },
        )
        kept = positions(len(predicted.columns))[-len(outputs) :]
        return with_positions(predicted).select(*kept).toDF(*(column for _, column in outputs))

    def _folder(self) -> str:
        """Return the folder of the SavedModel.

        Raises:
            ConfigurationError: There is none, or another graph of it is asked for.
        """
        if self.getTagSet() not in (None, "", "serve"):
            raise ConfigurationError(
                f"tag_set={self.getTagSet()!r} names a graph that cannot be chosen: SavedModels of "
                "TensorFlow 2 have one, with the tag 'serve'; leave setTagSet out, and write other "
                "models again with tf.saved_model.save"
            )
        if folder := self.getExportDir():
            return folder
        if self.getModelDir():
            raise ConfigurationError(
                f"model_dir={self.getModelDir()!r} has checkpoints, and those of TensorFlow 1 "
                f"cannot be loaded without their session; write a SavedModel with {_EXPORT}"
            )
        raise ConfigurationError(f"export_dir is not set; write a SavedModel with {_EXPORT}")


def spark_type(spec: Any) -> str:
    """Return the Spark type of an output: that of its values in Python, in an array per dimension.

    Args:
        spec: A tensor of `Predictor.signature`.

    Raises:
        ConfigurationError: It has none.
    """
    element = _SPARK_TYPES.get(spec.dtype.rstrip("0123456789"))
    if element is None or spec.row_shape is None:
        raise ConfigurationError(
            f"the output {spec} has no type in Spark; leave it out of output_mapping, or use "
            "tensorsparkml.load_model, whose tsm.Output can say what it becomes"
        )
    depth = len(spec.row_shape)
    return "array<" * depth + element + ">" * depth


def _require_columns(name: str, mapping: Collection[Any], call: str) -> None:
    if not mapping:
        raise ConfigurationError(f"{name} is empty; call {call}")


def _check_inputs(mapping: Mapping[str, str], names: Collection[str], folder: str) -> None:
    for tensor, count in Counter(mapping.values()).items():
        if tensor not in names:
            raise _unknown("input_mapping", tensor, "inputs", names, folder)
        if count > 1:
            raise ConfigurationError(
                f"input_mapping names {tensor!r} for {count} columns, but an input gets one; "
                "make an array of them in Spark"
            )
    for name in names:
        if name not in mapping.values():
            raise ConfigurationError(
                f"input_mapping has no column for {name!r}; the model in {folder} has the inputs "
                f"{', '.join(map(repr, names))}"
            )


def _unknown(
    mapping: str, tensor: str, what: str, names: Collection[str], folder: str
) -> ConfigurationError:
    return ConfigurationError(
        f"{mapping} names the tensor {tensor!r}, but the model in {folder} has the {what} "
        f"{', '.join(map(repr, names))}; use the names of its signature, which Keras 3 chooses "
        "otherwise than Keras 2"
    )
