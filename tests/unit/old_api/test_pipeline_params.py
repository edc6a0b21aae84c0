"""The arguments and params of the old API's pipeline, and what is refused before Spark runs."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml.param import Param, Params

from tensorflowonspark import TFCluster, pipeline
from tensorflowonspark.model import spark_type
from tensorflowonspark.pipeline import (
    HasBatchSize,
    HasOutputMapping,
    HasSteps,
    Namespace,
    TFEstimator,
    TFModel,
    TFParams,
    TFTypeConverters,
)
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.models.signature import TensorSpec

ARGUMENTS = {"text": "foo", "number": 1, "map": {"a": 1}}


@pytest.mark.parametrize(
    "given",
    [ARGUMENTS, argparse.Namespace(**ARGUMENTS), Namespace(ARGUMENTS)],
    ids=lambda given: type(given).__name__,
)
def test_a_namespace_has_arguments_as_attributes(given: Any) -> None:
    found = Namespace(given)
    assert (found.text, found.number, found.map, found.argv) == ("foo", 1, {"a": 1}, None)
    assert "text" in found and "extra" not in found and list(found) == list(ARGUMENTS)
    assert repr(found) == "Namespace(map={'a': 1}, number=1, text='foo')"
    assert found == Namespace(ARGUMENTS) == argparse.Namespace(**ARGUMENTS)
    assert found != Namespace({}) and found != ARGUMENTS
    assert pickle.loads(pickle.dumps(found)) == found
    found.text = "bar"
    assert Namespace(given).text == "foo"


def test_a_namespace_of_a_list_has_it() -> None:
    argv = ["program", "--foo", "1"]
    found = Namespace(Namespace(argv))
    assert found.argv == list(found) == argv
    assert "--foo" in found and "argv" not in found
    assert repr(found) == "Namespace(['program', '--foo', '1'])"
    assert found == argv and found == Namespace(argv) and found != Namespace({})


@pytest.mark.parametrize("given", [None, "text", 3, ("a",)])
def test_other_arguments_are_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"not {type(given).__name__}; for no arguments"):
        Namespace(given)
    with pytest.raises(ConfigurationError, match=r"must be a dict, an argparse\.Namespace, or a"):
        TFEstimator(train, given)


class Foo(TFParams, HasBatchSize, HasSteps):
    def __init__(self, args: Any) -> None:
        super().__init__()
        self.args = args


class HasRate(Params):
    """Of a program, written as for Spark itself."""

    rate: Param[dict[Any, Any]] = Param(
        Params._dummy(), "rate", "a dict", typeConverter=TFTypeConverters.toDict
    )

    def setRate(self, value: Any) -> Any:
        return self._set(rate=value)


@pytest.mark.parametrize("args", [Namespace({"a": 1}), argparse.Namespace(a=1), {"a": 1}])
def test_params_are_merged_with_arguments(args: Any) -> None:
    foo = Foo(args).setBatchSize(10).setSteps(100)
    assert isinstance(foo, Foo)
    assert foo.merge_args_params() == Namespace({"a": 1, "batch_size": 10, "steps": 100})
    assert args in (Namespace({"a": 1}), {"a": 1})


def test_params_go_before_arguments_and_beside_a_list() -> None:
    assert Foo({"steps": 3}).setBatchSize(1).setSteps(4).merge_args_params().steps == 4
    merged = Foo(["x"]).setBatchSize(1).setSteps(4).merge_args_params()
    assert (merged.argv, merged.batch_size) == (["x"], 1)


def test_a_param_without_a_value_is_named() -> None:
    with pytest.raises(ConfigurationError, match="steps of Foo is not set, and has no default"):
        Foo({}).setBatchSize(10).merge_args_params()


def test_params_of_programs_work_beside_these() -> None:
    class Own(TFEstimator, HasRate):
        pass

    own = Own(train, {}).setBatchSize(3).setRate({"a": 1})
    assert own.merge_args_params().rate == {"a": 1}
    with pytest.raises(TypeError, match=r'for param "rate"\. a dict is needed, not 3'):
        own.setRate(3)


def train(args: Any, ctx: Any) -> None:
    raise AssertionError("it is called on nodes only")


# For each param: a value, and values that are refused with a part of the message.
VALUES: dict[str, tuple[Any, list[tuple[Any, str]]]] = {
    "BatchSize": (10, [("10", "batch_size must be an integer"), (0, "at least 1"), (True, ".")]),
    "ClusterSize": (2, [(0, "cluster_size must be"), (None, "."), (1.5, ".")]),
    "DriverPSNodes": (True, [(1, "driver_ps_nodes must be True or False")]),
    "Epochs": (0, [(-1, "epochs must be"), (None, ".")]),
    "ExportDir": ("hdfs:///model", [(3, "export_dir must be a string")]),
    "GraceSecs": (60, [("60", "grace_secs must be")]),
    "InputMapping": ({"a": "x"}, [(["a"], "a dict"), ({"a": 1}, r"input_mapping\['a'\]")]),
    "InputMode": (
        TFCluster.InputMode.SPARK,
        [(TFCluster.InputMode.TENSORFLOW, "not for pipelines"), (2, "input_mode"), (True, ".")],
    ),
    "MasterNode": ("master", [(3, "master_node")]),
    "ModelDir": ("model", [(3, "model_dir")]),
    "NumPS": (1, [(-1, "num_ps"), (None, ".")]),
    "OutputMapping": ({"y": "b"}, [("y", "output_mapping must be a dict"), ({1: "b"}, "strings")]),
    "Protocol": ("grpc", [(3, "protocol")]),
    "Readers": (2, [([2], "readers")]),
    "SignatureDefKey": ("serving_default", [(3, "signature_def_key")]),
    "Steps": (100, [("many", "steps")]),
    "TFRecordDir": ("records", [(3, "tfrecord_dir")]),
    "TagSet": ("serve", [(["serve"], "tag_set")]),
    "Tensorboard": (True, [("yes", "tensorboard must be True or False")]),
}


def stage_with(name: str) -> Any:
    stages: list[Any] = [TFEstimator(train, {}), TFModel({})]
    return next(stage for stage in stages if hasattr(stage, f"set{name}"))


def test_every_param_is_here() -> None:
    mixins = {getattr(pipeline, name) for name in pipeline.__all__ if name.startswith("Has")}
    setters = {name for mixin in mixins for name in vars(mixin) if name.startswith("set")}
    assert setters == {f"set{name}" for name in VALUES}
    assert mixins < set(TFEstimator.__mro__) | set(TFModel.__mro__)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_set_and_wrong_ones_refused(name: str) -> None:
    value, wrong = VALUES[name]
    stage = stage_with(name)
    assert getattr(stage, f"set{name}")(value) is stage
    assert getattr(stage, f"get{name}")() == value
    for refused, message in wrong:
        with pytest.raises(ConfigurationError, match=message):
            getattr(stage, f"set{name}")(refused)


def test_values_become_those_of_python() -> None:
    estimator = TFEstimator(train, {}).setSteps(1000 / 10).setBatchSize(np.int64(8))
    assert repr([estimator.getSteps(), estimator.getBatchSize()]) == "[100, 8]"
    assert estimator.setModelDir(Path("a/b")).getModelDir() == "a/b"


def test_none_is_a_value() -> None:
    estimator = TFEstimator(train, {}).setMasterNode(None).setBatchSize(None)
    merged = estimator.merge_args_params()
    assert (merged.master_node, merged.batch_size) == (None, None)


def test_defaults_are_those_of_old() -> None:
    estimator = TFEstimator(train, {"lr": 1}).merge_args_params()
    assert estimator == Namespace(
        {
            "lr": 1,
            "input_mapping": {},
            "cluster_size": 1,
            "num_ps": 0,
            "driver_ps_nodes": False,
            "input_mode": 1,
            "master_node": "chief",
            "protocol": "grpc",
            "tensorboard": False,
            "model_dir": None,
            "export_dir": None,
            "tfrecord_dir": None,
            "batch_size": 100,
            "epochs": 1,
            "readers": 1,
            "steps": 1000,
            "grace_secs": 30,
        }
    )
    assert TFModel([]).merge_args_params() == Namespace(
        {
            "argv": [],
            "input_mapping": {},
            "output_mapping": {},
            "batch_size": 100,
            "model_dir": None,
            "export_dir": None,
            "signature_def_key": None,
            "tag_set": None,
        }
    )


def test_a_copy_has_params_of_its_own_and_the_same_program() -> None:
    estimator = TFEstimator(train, {"lr": 1}).setEpochs(2)
    copied = estimator.copy({estimator.epochs: 3})
    assert (copied.getEpochs(), estimator.getEpochs()) == (3, 2)
    assert copied.train_fn is train and copied.args == Namespace({"lr": 1})


def mapped() -> TFEstimator:
    return TFEstimator(train, {}).setInputMapping({"a": "x"})


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (TFEstimator(train, {}), r"input_mapping is empty.* call setInputMapping\(\{column"),
        (TFEstimator(None, {}), "train_fn must be a function, not None"),  # type: ignore[arg-type]
        (
            TFEstimator(train, {}, export_fn=lambda args: None).setInputMapping({"a": "x"}),
            r"export_fn exported a session .* call compat\.export_saved_model\(model, args\.export",
        ),
        (mapped().setProtocol("rdma"), "protocol='rdma' is none of TensorFlow 2"),
        (mapped().setDriverPSNodes(True), "driver_ps_nodes=True is not for a fit"),
        (
            mapped().setClusterSize(2).setNumPS(2),
            "cluster_size=2 leaves no worker, given num_ps=2; .* setClusterSize with at least 3",
        ),
    ],
)
def test_a_fit_that_cannot_work_is_refused(estimator: TFEstimator, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        estimator.fit(None)  # type: ignore[arg-type]


def exported() -> TFModel:
    return TFModel({}).setExportDir("/models/none")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TFModel({}), r"export_dir is not set; write a SavedModel with compat\.export_saved"),
        (
            TFModel({}).setModelDir("/m"),
            "'/m' has checkpoints, and those of TensorFlow 1 cannot be loaded .* setExportDir",
        ),
        (exported(), r"input_mapping is empty; call setInputMapping\(\{column: tensor\}\)"),
        (exported().setInputMapping({"a": "x"}), "output_mapping is empty"),
        (exported().setTagSet("serve,gpu"), "tag_set='serve,gpu' names a graph that cannot"),
    ],
)
def test_a_transform_that_cannot_work_is_refused(model: TFModel, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        model.transform(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "shape", "type_"),
    [
        ("float32", (None, 1), "array<double>"),
        ("bfloat16", (None,), "double"),
        ("int32", (None,), "bigint"),
        ("uint8", (None, 2, None), "array<array<bigint>>"),
        ("bool", (None,), "boolean"),
        ("string", (None, 1), "array<binary>"),
    ],
)
def test_outputs_have_the_types_of_their_values_in_python(
    dtype: str, shape: Any, type_: str
) -> None:
    assert spark_type(TensorSpec("y", dtype, shape)) == type_


@pytest.mark.parametrize(("dtype", "shape"), [("complex64", (None,)), ("float32", None)])
def test_an_output_without_a_type_is_refused(dtype: str, shape: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"y: .* has no type in Spark; leave it out of"):
        spark_type(TensorSpec("y", dtype, shape))


def test_an_output_mapping_alone_makes_a_stage() -> None:
    class Bar(TFParams, HasOutputMapping):
        args = Namespace({})

    assert Bar().setOutputMapping({"y": "b"}).merge_args_params().output_mapping == {"y": "b"}
