"""What was internal to TensorFlowOnSpark is an error that says what to use."""

from __future__ import annotations

import importlib
import pickle

import pytest

from tensorflowonspark import TFSparkNode, pipeline
from tensorsparkml import errors
from tensorsparkml.errors import RemovedNameError


@pytest.mark.parametrize(
    ("module", "instead"),
    [
        ("TFManager", r"no queues and no managers: .* ctx\.get_data_feed\(\)"),
        ("marker", r"no markers such as EndPartition: .* should_stop\(\)"),
        (
            "reservation",
            r"cluster_info .* reservation\.Client\(address\)\.request_stop\(\) now calls "
            r"ssc\.stop\(.*\) .* terminate\(\) of the feed on all nodes",
        ),
    ],
)
def test_importing_an_internal_module_is_an_error(module: str, instead: str) -> None:
    for _ in range(2):  # a failed import is not kept
        with pytest.raises(RemovedNameError, match=f"{module} was internal .*{instead}") as found:
            importlib.import_module(f"tensorflowonspark.{module}")
        assert isinstance(found.value, ImportError)
    with pytest.raises(ImportError, match="does not exist here"):
        exec(f"from tensorflowonspark import {module}")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("TFSparkNode.run", r"TFCluster\.run\(sc"),
        ("TFSparkNode.train", r"train\(rdd, num_epochs\) of what TFCluster\.run returns"),
        ("TFSparkNode.inference", "inference"),
        ("TFSparkNode.shutdown", "shutdown"),
        ("TFSparkNode.TFSparkNode", "get_data_feed"),
        ("pipeline.single_node_env", r"util\.single_node_env"),
        ("pipeline.yield_batch", "setBatchSize"),
        ("pipeline.get_meta_graph_def", "load_model"),
    ],
)
def test_importing_an_internal_name_is_an_error(name: str, instead: str) -> None:
    module, _, attribute = name.partition(".")
    with pytest.raises(RemovedNameError, match=rf"tensorflowonspark\.{name} was .*{instead}"):
        exec(f"from tensorflowonspark.{module} import {attribute}")


@pytest.mark.parametrize("module", [TFSparkNode, pipeline])
def test_other_names_are_missing_as_usual(module: object) -> None:
    assert not hasattr(module, "runn")
    with pytest.raises(AttributeError, match=r"module 'tensorflowonspark\.\w+' has no attribute"):
        module.runn  # type: ignore[attr-defined]  # noqa: B018


def test_the_error_arrives_from_a_node_as_it_is() -> None:
    error = RemovedNameError("gone", node="worker:0")
    assert errors.by_name("RemovedNameError") is RemovedNameError
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (RemovedNameError, "[worker:0] gone")
