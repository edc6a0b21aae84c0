"""What the package exports, and that importing it is cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tensorsparkml

PUBLIC_NAMES = [
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


def test_the_public_names_are_these() -> None:
    assert tensorsparkml.__all__ == PUBLIC_NAMES
    assert dir(tensorsparkml) == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(tensorsparkml, name)
    if hasattr(value, "__name__"):
        assert value.__name__ in (name, f"tensorsparkml.{name}")


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="'tensorsparkml' has no attribute 'Claster'"):
        tensorsparkml.Claster  # noqa: B018


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import tensorsparkml; tensorsparkml.errors.NodeError")
    assert "tensorsparkml" in loaded
    assert not loaded & {"tensorflow", "keras", "pyspark", "pyarrow", "numpy", "pandas"}


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_no_public_name_needs_spark_or_tensorflow_to_be_looked_up(name: str) -> None:
    loaded = loaded_by(f"from tensorsparkml import {name}")
    assert not loaded & {"tensorflow", "keras", "pyspark"}


@pytest.mark.parametrize(
    "module",
    [
        "executor.agent.__main__",
        "executor.launch.task",
        "executor.feeding.feeder",
        "data.spool.transport",
        "trainer.process",
    ],
)
def test_node_processes_load_neither_tensorflow_nor_spark(module: str) -> None:
    loaded = loaded_by(f"import tensorsparkml.{module}")
    assert "pyarrow" in loaded
    assert not loaded & {"tensorflow", "keras", "pyspark", "pandas"}


@pytest.mark.parametrize(
    "module",
    [
        "TFCluster",
        "TFNode",
        "TFParallel",
        "TFSparkNode",
        "compat",
        "gpu_info",
        "namespace",
        "util",
    ],
)
def test_the_old_api_loads_neither_tensorflow_nor_spark(module: str) -> None:
    loaded = loaded_by(f"from tensorflowonspark import {module}")
    assert "tensorsparkml" in loaded
    assert not loaded & {"tensorflow", "keras", "pyspark", "pandas"}
