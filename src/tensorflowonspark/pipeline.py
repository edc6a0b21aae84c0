"""`TFEstimator` and `TFModel`: what Spark ML's pipelines have of the old API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyspark.ml import Estimator

from tensorflowonspark import TFCluster
from tensorflowonspark.cluster_params import (
    HasClusterSize,
    HasGraceSecs,
    HasInputMode,
    HasMasterNode,
    HasNumPS,
    HasProtocol,
    HasReaders,
    HasTensorboard,
)
from tensorflowonspark.model import TFModel
from tensorflowonspark.namespace import Namespace
from tensorflowonspark.params import (
    HasBatchSize,
    HasEpochs,
    HasExportDir,
    HasInputMapping,
    HasModelDir,
    HasOutputMapping,
    HasSignatureDefKey,
    HasSteps,
    HasTagSet,
    HasTFRecordDir,
    TFParams,
    TFTypeConverters,
)
from tensorflowonspark.removed import removed_names
from tensorsparkml.checks import function
from tensorsparkml.driver.spark.columns import select_columns
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "HasBatchSize",
    "HasClusterSize",
    "HasEpochs",
    "HasExportDir",
    "HasGraceSecs",
    "HasInputMapping",
    "HasInputMode",
    "HasMasterNode",
    "HasModelDir",
    "HasNumPS",
    "HasOutputMapping",
    "HasProtocol",
    "HasReaders",
    "HasSignatureDefKey",
    "HasSteps",
    "HasTFRecordDir",
    "HasTagSet",
    "HasTensorboard",
    "Namespace",
    "TFEstimator",
    "TFModel",
    "TFParams",
    "TFTypeConverters",
]

# What belonged to the tasks that applied models.
__getattr__ = removed_names(
    __name__,
    {
        "get_meta_graph_def": "tensorsparkml.load_model(export_dir).signature has a model's inputs "
        "and outputs.",
        "single_node_env": "Call util.single_node_env(num_gpus).",
        "yield_batch": "TFModel.transform makes batches by itself; see setBatchSize.",
    },
)


class TFEstimator(
    TFParams,
    HasInputMapping,
    HasClusterSize,
    HasNumPS,
    HasInputMode,
    HasMasterNode,
    HasProtocol,
    HasGraceSecs,
    HasTensorboard,
    HasModelDir,
    HasExportDir,
    HasTFRecordDir,
    HasBatchSize,
    HasEpochs,
    HasReaders,
    HasSteps,
    Estimator[TFModel],
):
    """Trains with a program of the old API, whose nodes are fed with a DataFrame.

    Args:
        train_fn: The program, `train_fn(args, ctx)`. Its `args` are a `Namespace` of `tf_args` and
            all params, or the list if `tf_args` is one.
        tf_args: Arguments, as for `Namespace`.
        export_fn: Only None: the program itself exports its model.
    """

    def __init__(
        self,
        train_fn: Callable[[Any, Any], Any],
        tf_args: Any,
        export_fn: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.train_fn = train_fn
        self.export_fn = export_fn
        self.args = Namespace(tf_args)
        self.set_defaults(
            input_mapping={},
            cluster_size=1,
            num_ps=0,
            driver_ps_nodes=False,
            input_mode=TFCluster.InputMode.SPARK,
            master_node="chief",
            protocol="grpc",
            tensorboard=False,
            model_dir=None,
            export_dir=None,
            tfrecord_dir=None,
            batch_size=100,
            epochs=1,
            readers=1,
            steps=1000,
            grace_secs=30,
        )

    def _fit(self, dataset: DataFrame) -> TFModel:
        self._check()
        rows = select_columns(dataset, sorted(self.getInputMapping())).rdd
        merged = self.merge_args_params()
        cluster = TFCluster.run(
            dataset.sparkSession.sparkContext,
            self.train_fn,
            merged if self.args.argv is None else self.args.argv,
            self.getClusterSize(),
            self.getNumPS(),
            bool(self.getTensorboard()),
            TFCluster.InputMode.SPARK,
            master_node=self.getMasterNode(),
        )
        try:
            cluster.train(rows, self.getEpochs())
        except BaseException:
            cluster.stop()  # the programs must not take what has arrived for all rows
            raise
        cluster.shutdown()
        return TFModel(self.args).take_params(self)

    def _check(self) -> None:
        """Check what needs no DataFrame.

        Raises:
            ConfigurationError: The fit cannot work.
        """
        function("train_fn", self.train_fn)
        if self.export_fn is not None:
            raise ConfigurationError(
                "export_fn exported a session of TensorFlow 1, which TensorFlow 2 does not have; "
                "leave it out, and call compat.export_saved_model(model, args.export_dir, "
                "ctx.job_name == 'chief') at the end of train_fn"
            )
        if not self.getInputMapping():
            raise ConfigurationError(
                "input_mapping is empty, so that no column would be fed; call "
                "setInputMapping({column: tensor})"
            )
        if self.getProtocol() not in (None, "grpc"):
            raise ConfigurationError(
                f"protocol={self.getProtocol()!r} is none of TensorFlow 2, whose nodes speak grpc; "
                "leave setProtocol out"
            )
        if self.getDriverPSNodes():
            raise ConfigurationError(
                "driver_ps_nodes=True is not for a fit, as in TensorFlowOnSpark: nodes that are "
                "fed run on executors; leave setDriverPSNodes out"
            )
        size, servers = self.getClusterSize(), self.getNumPS()
        if size <= servers:
            raise ConfigurationError(
                f"cluster_size={size} leaves no worker, given num_ps={servers}; it is the number "
                f"of all nodes: call setClusterSize with at least {servers + 1}"
            )
