"""Distributed TensorFlow on Apache Spark.

Importing this package loads no TensorFlow, PySpark or Arrow: public names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tensorsparkml import errors
from tensorsparkml._version import __version__

if TYPE_CHECKING:
    from tensorsparkml import tfrecord
    from tensorsparkml.config import ClusterConfig
    from tensorsparkml.data.columns.options import Column, Matrix
    from tensorsparkml.driver.cluster import Cluster
    from tensorsparkml.driver.feeds.delivery import FeedReport
    from tensorsparkml.driver.feeds.growing import GrowingFeed
    from tensorsparkml.driver.feeds.stream import StreamFeed
    from tensorsparkml.driver.parallel import run_parallel
    from tensorsparkml.driver.run import run
    from tensorsparkml.inference.engine.failure_reports import typed_errors
    from tensorsparkml.inference.load import load_model
    from tensorsparkml.inference.outputs import Output
    from tensorsparkml.inference.predict import predict
    from tensorsparkml.inference.predictor import Predictor
    from tensorsparkml.java import ensure_java
    from tensorsparkml.trainer.context import Context

__all__ = [
    "Cluster",
    "ClusterConfig",
    "Column",
    "Context",
    "FeedReport",
    "GrowingFeed",
    "Matrix",
    "Output",
    "Predictor",
    "StreamFeed",
    "__version__",
    "ensure_java",
    "errors",
    "load_model",
    "predict",
    "run",
    "run_parallel",
    "tfrecord",
    "typed_errors",
]

_HOMES = {
    "Cluster": "tensorsparkml.driver.cluster",
    "ClusterConfig": "tensorsparkml.config",
    "Column": "tensorsparkml.data.columns.options",
    "Context": "tensorsparkml.trainer.context",
    "FeedReport": "tensorsparkml.driver.feeds.delivery",
    "GrowingFeed": "tensorsparkml.driver.feeds.growing",
    "Matrix": "tensorsparkml.data.columns.options",
    "Output": "tensorsparkml.inference.outputs",
    "Predictor": "tensorsparkml.inference.predictor",
    "StreamFeed": "tensorsparkml.driver.feeds.stream",
    "ensure_java": "tensorsparkml.java",
    "load_model": "tensorsparkml.inference.load",
    "predict": "tensorsparkml.inference.predict",
    "run": "tensorsparkml.driver.run",
    "run_parallel": "tensorsparkml.driver.parallel",
    "tfrecord": "tensorsparkml.tfrecord",
    "typed_errors": "tensorsparkml.inference.engine.failure_reports",
}
_PACKAGES = {"tfrecord"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home if name in _PACKAGES else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
