"""Every argument of every public function is checked before anything begins.

What is asked of each is taken from the functions' signatures: an argument that has no values here
that it refuses, and is not said to take anything, fails a test.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame
from pyspark.sql.types import IntegerType, StructType

import tensorsparkml as tsm
from tensorsparkml.checks import checked, integer, path, seconds
from tensorsparkml.config import ClusterConfig
from tensorsparkml.data.columns.options import Column, Matrix
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer import callbacks
from tensorsparkml.trainer.datasets.data_feed import DataFeed
from tensorsparkml.trainer.inference.batches import Inference

NAN, HUGE = float("nan"), 2**70
OTHERS = [object(), {1, 2}, b"bytes"]  # which no argument takes

NO_COUNTS = [0, -1, 2.5, 3.0, True, "3", None, NAN, HUGE, [1], np.array([1, 2]), *OTHERS]
NO_SIZE = [value for value in NO_COUNTS if value is not None]  # where None has a meaning
NO_INDEX = [value for value in NO_COUNTS if type(value) is not int or value]
NO_SWITCH = [0, 1, "yes", "", None, NAN, [], *OTHERS]
NO_SECONDS = [-1, -0.5, True, "3", NAN, float("inf"), HUGE, [], *OTHERS]
NO_FUNCTION = [3, "main", {}, *OTHERS]
NO_PATH = [3, "", True, Path, NAN, "a\0b", {}, *OTHERS]
NO_PATHS = [*NO_PATH, [], [3], ["a", ""]]
NO_FEED_NAME = [3, None, "", "a/b", "..", "copies", "x" * 300, "ü" * 150, True, [], "a\n", *OTHERS]
NO_NAMES = [3, True, "x", {}, ["x", "x"], ["x", 3], [None], [["x"]], *OTHERS]
NO_SOME_NAMES = [*NO_NAMES, [], ()]
NO_COLUMNS = [3, True, [], {}, [3], [["x"]], {"x": 3}, {3: "x"}, {"x": ["y"]}, NAN, *OTHERS]
NO_SELECTION = [*NO_COLUMNS, "x", Matrix("f*")]
NO_CONVERT = [3, "x", [], True, {"x": 3}, {3: Column()}, {"x": None}, {"x": Column}, *OTHERS]
NO_ROWS = [3, True, "", [], [3], pd.DataFrame({"x": [1]}), np.zeros(3), {"x": [1]}, *OTHERS]
NO_TEXT = [3, None, "", True, [], NAN, *OTHERS]
NO_TENSORFLOW = [3, None, "x", [], object, *OTHERS]

REFUSED: dict[str, list[Any]] = {
    "run_parallel.args": [3, None, "abc", {"a": 1}, object(), b"bytes"],
    "at_once": NO_SWITCH,
    "backup": NO_PATH,
    "backup_dir": [None, *NO_PATH],
    "batch_size": NO_COUNTS,
    "cache": NO_SWITCH,
    "callbacks": [3, None, "x", {}, [3], ["x"], *OTHERS],
    "checkpoint": NO_PATH,
    "columns": NO_SOME_NAMES,
    "convert": NO_CONVERT,
    "data": [None, *NO_ROWS],
    "dataset": NO_TENSORFLOW,
    "datasets": [3, "x", ["x"], {3: "x"}, {"a/b": "rows"}, {"x": 3}, {"x": None}, *OTHERS],
    "direct": NO_ROWS,
    "drop_remainder": NO_SWITCH,
    "epochs": NO_COUNTS,
    "features": NO_COLUMNS,
    "fed": NO_SWITCH,
    "feed": NO_FEED_NAME,
    "feeds": [*NO_NAMES, ["a/b"], [""]],
    "filepath": [None, *NO_PATH],
    "filesystem": [3, "s3", {}, *OTHERS],
    "global_batch_size": NO_SIZE,
    "initial_epoch": NO_INDEX,
    "is_chief": NO_SWITCH,
    "keep": [None, *NO_NAMES],
    "label": NO_COLUMNS,
    "layers": [3, None, "x", [], {}, [3], {"x": 3}, *OTHERS],
    "log_dir": [None, *NO_PATH],
    "main": [None, *NO_FUNCTION],
    "make_dataset": [None, *NO_FUNCTION],
    "model": NO_TENSORFLOW,
    "path": [None, *NO_PATH],
    "sample_weight": [3, 0, NAN, [], {}, ["x"], *OTHERS],
    "schema": [3, None, "", [], {}, IntegerType(), StructType(), *OTHERS],
    "seconds": NO_SECONDS,
    "seed": [value for value in NO_INDEX if value is not None],
    "shuffle": NO_SWITCH,
    "shuffle_rows": NO_COUNTS,
    "spark": [3, "local[1]", {}, *OTHERS],
    "step": [None, *NO_FUNCTION],
    "tensorboard": NO_SWITCH,
    "timeout": NO_SECONDS,
    "transform": NO_FUNCTION,
    "uri": [None, *NO_PATHS],
    "validation": NO_ROWS,
    "variable_partitioner": NO_FUNCTION,
    "wait_seconds": [None, *NO_SECONDS],
    # Where an argument of this name means something else.
    "Context.dataset.batch_size": NO_SIZE,
    "Context.read_parquet.batch_size": NO_SIZE,
    "Context.read_tfrecord.batch_size": NO_SIZE,
    "Context.export.uri": [None, *NO_PATH],
    "Context.feed.columns": NO_SELECTION,
    "Context.inference.columns": NO_SELECTION,
    "Context.read_tfrecord.schema": [3, "x", [], {}, {"x": 3}, {3: "x"}, {"x": int}, *OTHERS],
    "Context.asynchronous_fit.validation": NO_FUNCTION,
    "GrowingFeed.add.data": [None, "a.parquet", ["a.parquet"], *NO_ROWS],
    "Cluster.train_stream.data": [None, "a.parquet", ["a.parquet"], *NO_ROWS],
    "StreamFeed.wait.seconds": NO_SECONDS,
    "Cluster.wait.seconds": [None, *NO_SECONDS],
    "run.data": NO_ROWS,
    "predict.data": [None, "a.parquet", *NO_ROWS],
    "predict.model": [None, *NO_PATH],
    "read.spark": [None, 3, "local[1]", {}, *OTHERS],
    "register.spark": [None, 3, "local[1]", {}, *OTHERS],
    "count.spark": [None, 3, "local[1]", {}, *OTHERS],
    "read.schema": [3, "", [], {}, *OTHERS],
    "read.columns": [value for value in NO_SOME_NAMES if value is not None],
    "read.where": [3, "", True, [], {}, *OTHERS],
    "write.df": [None, 3, "x", {}, *OTHERS],
    "write.mode": [3, "", "errorifexists", True, None, *OTHERS],
    "write.partition_by": [value for value in NO_NAMES if value != "x"],
    "load_model.model": [3, None, "", True, NAN, "a\0b", {}, *OTHERS],
    "predict.batch_size": NO_SIZE,
    "load_model.batch_size": NO_SIZE,
    "load_model.signature": NO_TEXT,
    "load_model.returns": [value for value in NO_TEXT if value is not None],
    "load_model.build": NO_FUNCTION,
    "load_model.custom_objects": [3, "x", [], {"x": 3}, {3: len}, *OTHERS],
    "load_model.jit_compile": NO_SWITCH,
    "load_model.mixed_precision": NO_SWITCH,
    "decode": [3, "jpeg", [], {"x": 3}, {3: "image"}, *OTHERS],
    "outputs": [3, True, "", [], {}, [3], {"x": 3}, {3: "x"}, ["x", "x"], NAN, *OTHERS],
    "pad": [[], object(), {1, 2}, {"x": []}, {3: 0}],
    "Output.name": [value for value in NO_TEXT if value is not None],
    "Output.type": [value for value in NO_TEXT if value is not None],
    "Output.argmax": NO_SWITCH,
    "Output.top_k": [value for value in NO_COUNTS if value is not None],
    "Output.function": NO_FUNCTION,
    "Column.shape": [3, "x", {}, (-1,), (2.5,), (True,), ("3",), (HUGE,), *OTHERS],
    "Column.dtype": ["float33", "", 3, (1, 2, 3), NAN],
    "Column.fill": [[], (1,), {}, np.zeros(2), object()],
    "Column.mask": NO_SWITCH,
    "Matrix.columns": [3, None, "", [], [3], ["x", "x"], object(), b"bytes"],
    "Matrix.dtype": [None, "float33", "str", 3, object],
    "Matrix.fill": ["x", [], {}, np.zeros(2), object()],
}

# Arguments that take whatever they get, and why.
TAKES_ANYTHING = {
    "read.options": "the source checks them",
    "write.options": "the source checks them",
    "count.options": "the source checks them",
    "run.args": "main gets it, and what cannot be pickled is an UnpicklableError",
    "Cluster.args": "as in run",
    "run.settings": "see the test of the settings",
    "Cluster.settings": "see there",
    "run_parallel.settings": "see there",
    "model_checkpoint.kwargs": "Keras checks them",
    "tensorboard.kwargs": "Keras checks them",
    "backup_and_restore.kwargs": "Keras checks them",
    "InferenceBatch.reply.results": "a DataError compares them with the rows",
}

REFUSED_SETTINGS: dict[str, list[Any]] = {
    "num_workers": NO_COUNTS,
    "num_ps": NO_INDEX,
    "slots": ["keep", "", None, True, 3, [], *OTHERS],
    "log_dir": NO_PATH,
    "work_dir": ["hdfs://host/work", *NO_PATH],
    "spool_bytes": [value for value in NO_COUNTS if value is not None],
    "environment": [3, None, "x", [("a", "b")], {1: "x"}, {"A": 4}, {"": "x"}, {"A=B": "x"}],
    "packages": [None, *NO_NAMES],
    "gpus": [value for value in NO_INDEX if value is not None],
    "tensorboard": ["executor", "", None, 1, 0, 2.5, [], *OTHERS],
    "lease_seconds": [0, None, *NO_SECONDS],
    "start_seconds": [0, None, *NO_SECONDS],
    **{
        name: NO_SWITCH
        for name in (
            "between_graph",
            "main_on_ps",
            "evaluator",
            "driver_ps_nodes",
            "legacy_keras",
            "gpu_memory_growth",
            "tls",
            "progress",
        )
    },
}


class Layer:
    """What takes itself for a part of Keras."""

    __module__ = "keras.layers"

    def adapt(self, dataset: Any) -> None:
        """As layers do."""


class Table(DataFrame):
    """What takes itself for a DataFrame of Spark."""

    isStreaming = False

    def __new__(cls, streaming: bool = False) -> Table:
        return object.__new__(cls)

    def __init__(self, streaming: bool = False) -> None:
        self.isStreaming = streaming


# What is valid for arguments that have no default.
VALID: dict[str, Any] = {
    "args": [1],
    "backup_dir": "backup",
    "batch_size": 8,
    "columns": ["x"],
    "data": ["rows.parquet"],
    "dataset": Layer(),
    "feed": "x",
    "features": "x",
    "filepath": "model.keras",
    "is_chief": True,
    "layers": Layer(),
    "log_dir": "logs",
    "main": print,
    "make_dataset": print,
    "model": Layer(),
    "path": "x",
    "seconds": 1,
    "spark": Table(),
    "df": Table(),
    "step": print,
    "uri": "rows.parquet",
    "predict.model": "model",
    "load_model.model": "model",
    "predict.data": Table(),
    "Predictor.transform.data": Table(),
    "Cluster.inference.data": Table(),
    "Cluster.train_stream.data": Table(streaming=True),
    "GrowingFeed.add.data": Table(),
}

# Classes that users do not make have methods that they call.
MADE_BY_USERS = {tsm.Cluster, Column, Matrix, tsm.Output}
CLASSES = (
    *(getattr(tsm, name) for name in tsm.__all__ if isinstance(getattr(tsm, name), type)),
    DataFeed,
    Inference,
)
FUNCTIONS = (
    tsm.run,
    tsm.run_parallel,
    tsm.load_model,
    tsm.predict,
    tsm.typed_errors,
    tsm.ensure_java,
    *(getattr(tsm.tfrecord, name) for name in tsm.tfrecord.__all__),
)
CALLBACKS = tuple(getattr(callbacks, name) for name in callbacks.__all__)


def public() -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """Every function that users call, its name, and whether it is a method."""
    for function in (*FUNCTIONS, *CALLBACKS):
        yield function.__name__, function, False
    for kind in CLASSES:
        if kind in MADE_BY_USERS:
            yield kind.__name__, kind, False
        for name in dir(kind):
            method = inspect.getattr_static(kind, name)
            # Those of dataclasses and of mappings, which begin with underscores, take none.
            if isinstance(method, FunctionType) and not name.startswith("_"):
                yield f"{kind.__name__}.{name}", method, True


def arguments() -> Iterator[tuple[str, Callable[..., Any], bool, str]]:
    for name, function, is_method in public():
        for argument in list(inspect.signature(function).parameters)[is_method:]:
            yield name, function, is_method, argument


def refused(function: str, argument: str) -> list[Any]:
    return REFUSED.get(f"{function}.{argument}", REFUSED.get(argument, []))


def test_every_public_function_is_among_them() -> None:
    names = {name for name, _, _ in public()}
    assert {"run", "Cluster", "Cluster.train", "Cluster.inference", "predict"} <= names
    assert {"Context.dataset", "Context.read_parquet", "DataFeed.next_batch"} <= names
    exported = {name for name in tsm.__all__ if callable(getattr(tsm, name))}
    tested = {function.__name__ for function in FUNCTIONS} | {kind.__name__ for kind in CLASSES}
    assert exported <= tested


@pytest.mark.parametrize(
    ("name", "argument"),
    [pytest.param(name, argument, id=f"{name}-{argument}") for name, _, _, argument in arguments()],
)
def test_every_argument_has_values_that_it_refuses(name: str, argument: str) -> None:
    assert bool(refused(name, argument)) != (f"{name}.{argument}" in TAKES_ANYTHING)


@pytest.mark.parametrize(
    ("name", "function", "is_method", "argument"),
    [pytest.param(*case, id=f"{case[0]}-{case[-1]}") for case in arguments()],
)
def test_a_wrong_argument_is_named_before_anything_begins(
    name: str, function: Callable[..., Any], is_method: bool, argument: str
) -> None:
    parameters = list(inspect.signature(function).parameters.values())[is_method:]
    required = {
        parameter.name: VALID.get(f"{name}.{parameter.name}", VALID.get(parameter.name))
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }
    given = [object()] if is_method else []  # nothing of the object is used
    for value in refused(name, argument):
        with pytest.raises(ConfigurationError) as caught:
            pytest.fail(f"{value!r} led to {function(*given, **{**required, argument: value})!r}")
        message = caught.value.message
        assert argument in message or function is Matrix
        assert len(message) < 600


def test_every_setting_has_values_that_it_refuses() -> None:
    assert REFUSED_SETTINGS.keys() == {field.name for field in fields(ClusterConfig)}


@pytest.mark.parametrize("name", REFUSED_SETTINGS)
def test_a_wrong_setting_is_named(name: str) -> None:
    for value in REFUSED_SETTINGS[name]:
        with pytest.raises(ConfigurationError, match=name) as caught:
            pytest.fail(f"{value!r} led to {tsm.Cluster(print, **{name: value})}")
        assert len(caught.value.message) < 600


def test_what_is_nearly_of_the_type_is_taken() -> None:
    @checked(count=integer(1), wait=seconds, file=path)
    def call(count: Any, wait: Any = 0, *, file: Any = "x") -> tuple[Any, ...]:
        return count, wait, file

    assert call(np.int64(3), np.float64(2.5), file=Path("a/b")) == (3, 2.5, "a/b")
    assert type(call(np.int64(3))[0]) is int
    assert type(call(1, np.float32(0.5))[1]) is type(call(1, np.int64(2))[1]) is float
    assert type(call(1, file=Path("a"))[2]) is str
    assert Column(shape=[np.int32(2), None]).shape == (2, None)  # type: ignore[arg-type]


def test_checks_of_arguments_that_are_not_there_are_a_mistake() -> None:
    with pytest.raises(TypeError, match="no arguments \\['cuont'\\]"):
        checked(cuont=integer(1))(lambda count: count)
