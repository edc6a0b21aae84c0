"""A program runs on hosts that do not have its file as it does where it was written."""

from __future__ import annotations

import inspect
import linecache
from pathlib import Path
from typing import Any

import pytest
from ways_to_run import FILE_NAMES, WAYS, pickle_main_of

from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.results import decode_result
from tensorsparkml.program.pickling import load_main
from tensorsparkml.trainer.process import run_main

PROGRAM = """\
import functools
import inspect


def logged(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)

    return call


@logged
def sign(x):
    import tensorflow as tf

    if tf.reduce_sum(x) > 0:
        return 1
    return -1


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        while x < 10:
            x = x * self.factor
        return x


def make_model():
    import keras
    import tensorflow as tf

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)
            self.skipped = self.add_weight(
                name="skipped", initializer="zeros", trainable=False
            )

        def call(self, x):
            return self.dense(x)

        # Keras converts nothing that it calls, on one machine either.
        @tf.function
        def train_step(self, data):
            x, y = data
            if tf.reduce_sum(x) < 0:
                self.skipped.assign_add(1.0)
            return super().train_step(data)

    model = Model()
    model.compile("sgd", "mse", jit_compile=False)
    return model


def fails(args, ctx):
    raise ValueError("no rows")


def main(args, ctx):
    import tensorflow as tf

    if args == "fail":
        fails(args, ctx)

    @tf.function
    def step(x):
        if tf.reduce_sum(x) > 0:
            return x
        else:
            return -x

    model = make_model()
    model.fit(tf.constant([[1.0], [-2.0]]), tf.zeros((2, 1)), batch_size=1, verbose=0)
    shorten = tf.function(lambda x: x[:1] if tf.size(x) > 1 else x)
    return {
        "step": step(tf.constant([-1.0, -2.0])).numpy().tolist(),
        "decorated": int(tf.function(sign)(tf.constant(-3))),
        "callable": float(tf.function(Scale(2.0))(tf.constant(1.0))),
        "lambda": shorten(tf.constant([1, 2])).numpy().tolist(),
        "skipped": float(model.skipped),
        "source": inspect.getsource(step),
    }
"""
EXPECTED: dict[str, Any] = {
    "step": [1.0, 2.0],
    "decorated": -1,
    "callable": 16.0,
    "lambda": [1],
    "skipped": 1.0,
}


class NoContext:
    """Knows nothing of any error."""

    def _explain(self, error: BaseException) -> None:
        return None


def run(pickled: bytes) -> bytes | Failure:
    return run_main(pickled, NoContext())  # type: ignore[arg-type]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "exec"])
def test_a_program_keeps_its_source(way: str, tmp_path: Path) -> None:
    pickled = pickle_main_of(PROGRAM, way, tmp_path)
    outcome = run(pickled)
    assert not isinstance(outcome, Failure), outcome.remote_traceback
    results = decode_result(outcome)
    assert "if tf.reduce_sum(x) > 0:" in results.pop("source")
    assert results == EXPECTED
    main, _ = load_main(pickled)
    assert FILE_NAMES[way] in main.__code__.co_filename
    assert inspect.getsource(main).startswith("def main(args, ctx):")


@pytest.mark.parametrize("way", [way for way in WAYS if way != "exec"])
def test_a_traceback_shows_the_lines_of_the_program(way: str, tmp_path: Path) -> None:
    outcome = run(pickle_main_of(PROGRAM, way, tmp_path, "fail"))
    assert isinstance(outcome, Failure)
    line = PROGRAM.split("\n").index('    raise ValueError("no rows")') + 1
    trace = outcome.remote_traceback or ""
    assert f'line {line}, in fails\n    raise ValueError("no rows")' in trace
    assert FILE_NAMES[way] in trace


UNKNOWN = """
def main(args, ctx):
    import tensorflow as tf

    @tf.function
    def clip(x):
        if tf.reduce_max(x) > 3:
            x = x / 3.0
        return x

    return clip(tf.constant([1.0, 6.0])).numpy().tolist()
"""


def test_code_without_a_source_says_so(tmp_path: Path) -> None:
    outcome = run(pickle_main_of(UNKNOWN, "exec", tmp_path))
    assert isinstance(outcome, Failure)
    assert "<no source: <string>>" in (outcome.remote_traceback or "")
    assert "has no source text here" in outcome.message
    assert "a file or a notebook cell" in outcome.message
    assert linecache.getlines("<no source: <string>>") == []
