"""What a model predicts, and what it cannot: told with the column and the input that do not fit."""

import os

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tensorsparkml.errors import (
    ConfigurationError,
    NullValueError,
    ShapeMismatchError,
    UnsupportedColumnError,
)
from tensorsparkml.inference.predict import _load_files, _predict_task

ROWS = pa.record_batch(
    {
        "x": pa.array([1.0, 2.0], pa.float32()),
        "pair": [[1.0, 2.0], [3.0, 4.0]],
        "name": ["a", "b"],
        "holes": ["a", None],
        "numbers": pa.array([1, None], pa.int32()),
    }
)


class Sum(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def __call__(self, x):
        return {"sum": x + 1}


class Sums(tf.Module):
    """As large as the other, so that its files differ in nothing else."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def __call__(self, x):
        return {"sum": x + 2}


class Text(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def __call__(self, text):
        return {"upper": tf.strings.upper(text)}


class Length(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def __call__(self, text):
        return {"length": tf.strings.length(text)}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind in (Sum, Text, Length):
        export(kind(), folder / kind.__name__)
    tf.saved_model.save(tf.Module(), str(folder / "unsigned"))
    return folder


def predict(model, features):
    task = _predict_task(str(model), features, {}, 1024)
    [batch] = task(iter([ROWS]))
    return batch.columns[-1].to_pylist()


def test_what_fits(models):
    assert predict(models / "Sum", "x") == [[2.0], [3.0]]
    assert predict(models / "Sum", {"x": "x"}) == [[2.0], [3.0]]
    assert predict(models / "Length", "name") == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("model", "features", "kind", "message"),
    [
        (
            "Sum",
            {"y": "x"},
            ConfigurationError,
            "has the inputs 'x', but features names an input 'y'",
        ),
        ("Sum", {"x": "x", "y": "x"}, ConfigurationError, "an input 'y' \\(for 'x'"),
        ("Sum", "name", UnsupportedColumnError, "column 'name' has strings, but input 'x' of"),
        ("Sum", "pair", ShapeMismatchError, r"column 'pair' .*\(2, 2\), .* input 'x' of"),
        ("Sum", "numbers", NullValueError, "'numbers'"),
        ("Length", "x", UnsupportedColumnError, "'x' has float32, but input 'text' .* strings"),
        ("Length", "holes", NullValueError, "'holes'"),
        ("Text", "name", ConfigurationError, "output 'upper' of the model .* has strings"),
        ("unsigned", "x", ConfigurationError, "no signature 'serving_default'"),
    ],
)
def test_what_does_not_fit_is_named(models, model, features, kind, message):
    with pytest.raises(kind, match=message):
        predict(models / model, features)


def export(module, folder):
    tf.saved_model.save(module, str(folder), {"serving_default": module.__call__})


def test_a_model_that_was_exported_again_is_loaded_again(tmp_path):
    export(Sum(), tmp_path)
    assert predict(tmp_path, "x") == [[2.0], [3.0]]
    loads = _load_files.cache_info().misses
    assert predict(tmp_path, "x") == [[2.0], [3.0]]
    assert _load_files.cache_info().misses == loads
    times = {path: path.stat().st_mtime for path in tmp_path.rglob("*")}
    export(Sums(), tmp_path)
    for path, seconds in times.items():  # as if within the same second
        os.utime(path, (seconds, seconds))
    assert predict(tmp_path, "x") == [[3.0], [4.0]]


def test_a_batch_keeps_all_columns(models):
    [batch] = _predict_task(str(models / "Sum"), "x", {}, 1024)(iter([ROWS]))
    np.testing.assert_array_equal(batch.column(1).to_pylist(), ROWS.column(1).to_pylist())
    assert batch.num_columns == ROWS.num_columns + 1
