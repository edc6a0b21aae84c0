"""A model applied to DataFrames, against PySpark's `predict_batch_udf` with the same model.

Both sides load the same SavedModel in the same Python workers of the same application, take their
rows from the same Parquet files, and are summed up by Spark, so that results do not travel. The
batch size of `predict_batch_udf` is the best one of those tried. Each side is run once before it is
measured, and the sides take turns.

The cold job is measured in applications of their own: from the action to its result, with one row,
which is the time to start a Python worker, import TensorFlow and load the model.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tensorsparkml as tsm
from benchmarks import data
from benchmarks.report import AtLeast, AtMostLonger, Comparison, Limit, Series
from benchmarks.session import Session

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SIZES = (256, 1024, 4096)  # of batches that `predict_batch_udf` is tried with
_KEPT = 30  # further columns that the model does not read
_JPEGS = 4_000
_COLD_SECONDS = 0.5  # by which our cold job may be slower, which is what noise does
_AGAINST = "`predict_batch_udf`, same model"


@dataclass(frozen=True)
class Case:
    """A model and its rows.

    Attributes:
        title: What they are.
        model: Name of the model.
        limit: What is wanted.
        ours: Makes our column of predictions from the model's path.
        theirs: Makes the other's, from the path and a batch size.
        rows: Returns the rows.
    """

    title: str
    model: str
    limit: Limit
    ours: Callable[[str], Column]
    theirs: Callable[[str, int], Column]
    rows: Callable[[Session], DataFrame]


def _make_model(name: str) -> Any:
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1998)
    if name == "jpeg":
        backbone = keras.applications.MobileNetV2(
            weights=None, input_shape=(224, 224, 3), classes=10
        )
        return keras.Sequential([keras.Input((224, 224, 3)), layers.Rescaling(1 / 255), backbone])
    if name == "images":
        return keras.Sequential(
            [
                keras.Input((28, 28, 4), dtype="uint8"),
                layers.Rescaling(1 / 255),
                layers.Conv2D(8, 3, strides=2, activation="relu"),
                layers.Conv2D(16, 3, strides=2, activation="relu"),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
    width = 784 if name == "floats" else 20
    hidden = layers.Dense(128, activation="relu")
    return keras.Sequential([keras.Input((width,)), hidden, layers.Dense(10, activation="softmax")])


def _model_path(name: str) -> str:
    """The folder of an exported model, which a process of its own writes when there is none."""
    path = data.CACHE / "models" / name
    if not path.exists():
        subprocess.run(
            [sys.executable, "-m", "benchmarks.predictions", "export", name, str(path)],
            cwd=data.ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return str(path)


def _batch_udf(
    path: str, size: int, convert: Callable[[Any], np.ndarray], shape: list[int] | None
) -> Any:
    """What a user writes with PySpark alone."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import ArrayType, FloatType

    def make() -> Callable[..., Any]:
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        [(name, spec)] = loaded.signatures["serving_default"].structured_input_signature[1].items()

        def predict(inputs: Any) -> Any:
            values = tf.constant(convert(inputs), spec.dtype)
            [output] = loaded.signatures["serving_default"](**{name: values}).values()
            return output.numpy()

        return predict

    shapes: Any = None if shape is None else [shape]
    return predict_batch_udf(
        make, return_type=ArrayType(FloatType()), batch_size=size, input_tensor_shapes=shapes
    )


def _pixels(values: Any) -> np.ndarray:
    return np.stack([np.frombuffer(each, np.uint8) for each in values]).reshape(-1, 28, 28, 4)


def _decoded(values: Any) -> Any:
    import tensorflow as tf

    def decode(value: Any) -> Any:
        image = tf.io.decode_image(value, channels=3, expand_animations=False)
        image.set_shape((None, None, 3))
        return tf.image.resize(image, (224, 224))

    return tf.map_fn(decode, tf.constant(list(values)), fn_output_signature=tf.float32)


def _scalars(session: Session) -> DataFrame:
    from pyspark.sql import functions as F

    kept = [
        F.concat(F.lit(f"kept {number} "), F.col("c00")).alias(f"k{number}")
        for number in range(_KEPT)
    ]
    return session.frame("scalars", part=4).select("*", *kept)


def _columns() -> list[str]:
    return [f"c{number:02}" for number in range(20)]


def _jpegs(session: Session) -> DataFrame:
    """Photographs of noise that is smooth enough to be compressed as photographs are."""
    path = data.CACHE / f"jpegs-{_JPEGS}.parquet"
    if not path.exists():
        import pyarrow as pa
        import pyarrow.parquet as pq
        from PIL import Image

        rng = np.random.default_rng(1998)

        def images() -> Iterator[bytes]:
            for _ in range(_JPEGS):
                small = Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8))
                file = io.BytesIO()
                small.resize((224, 224)).save(file, "JPEG")
                yield file.getvalue()

        data.CACHE.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": list(images())}), path, row_group_size=_JPEGS // 8)
    frame = session.spark.read.parquet(str(path)).repartition(4)
    return frame.limit(int(_JPEGS * session.scale)) if session.scale < 1 else frame


def _struct_udf(path: str, size: int) -> Column:
    from pyspark.sql import functions as F

    column: Column = _batch_udf(path, size, lambda x: x, [20])(F.struct(*_columns()))
    return column


CASES = {
    "floats": Case(
        "784 floats, dense network",
        "floats",
        AtLeast(1.4, aim=1.7),
        lambda path: tsm.load_model(path)("x"),
        lambda path, size: _batch_udf(path, size, lambda x: x, [784])("x"),
        lambda session: session.frame("floats"),
    ),
    "images": Case(
        "3,136-byte images, convolutional network",
        "images",
        AtLeast(1.3),
        lambda path: tsm.load_model(path)("x"),
        lambda path, size: _batch_udf(path, size, _pixels, None)("x"),
        lambda session: session.frame("images", part=4),
    ),
    "jpeg": Case(
        "224 x 224 JPEG images, MobileNetV2",
        "jpeg",
        AtLeast(1.0),
        lambda path: tsm.load_model(path, batch_size=64)("x", decode="image"),
        lambda path, size: _batch_udf(path, size // 16, _decoded, None)("x"),
        _jpegs,
    ),
    "scalars": Case(
        "20 scalar inputs beside 30 columns",
        "scalars",
        AtLeast(2.0),
        lambda path: tsm.load_model(path)(tsm.Matrix(_columns())),
        _struct_udf,
        _scalars,
    ),
}


def _seconds(frame: DataFrame, column: Column) -> float:
    from pyspark.sql import functions as F

    kept = [F.max(F.length(name)) for name in frame.columns if name.startswith("k")]
    predicted = frame.withColumn("p", column).agg(F.sum(F.element_at("p", 1)), *kept)
    begin = time.monotonic()
    predicted.collect()
    return time.monotonic() - begin


def _compare(session: Session, case: Case, repeats: int) -> Comparison:
    path, frame = _model_path(case.model), case.rows(session)
    rows, few = frame.count(), frame.limit(4096)
    ours = case.ours(path)
    tried: Mapping[int, float] = {}
    for size in _SIZES:
        _seconds(few, case.theirs(path, size))  # loads the model
        tried = {**tried, size: _seconds(frame, case.theirs(path, size))}
    best = min(tried, key=lambda size: tried[size])
    theirs = case.theirs(path, best)
    _seconds(frame, ours)
    found: list[list[float]] = [[], []]
    for _ in range(repeats):
        for side, column in enumerate((ours, theirs)):
            found[side].append(rows / _seconds(frame, column))
    return Comparison(
        what=f"predictions, {case.title}",
        against=f"{_AGAINST}, batches of {best // 16 if case.model == 'jpeg' else best:,}",
        ours=Series("rows/s", found[0]),
        theirs=Series("rows/s", found[1]),
        limit=case.limit,
    )


def _cold(session: Session, repeats: int) -> Comparison:
    path = _model_path("floats")
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(repeats):
        for side, seconds in found.items():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.predictions", "cold", side, path],
                cwd=data.ROOT,
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            seconds.append(float(json.loads(done.stdout.splitlines()[-1])))
    return Comparison(
        what="first prediction of a new application",
        against=_AGAINST,
        ours=Series("s", found["ours"]),
        theirs=Series("s", found["theirs"]),
        limit=AtMostLonger(_COLD_SECONDS),
    )


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare predictions over the rows that were asked for, and the first one."""
    asked = [name for name in CASES if name in kinds or name == "jpeg"]
    return [_cold(session, repeats), *(_compare(session, CASES[name], repeats) for name in asked)]


def _main(doing: str, which: str, path: str) -> None:
    if doing == "export":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        _make_model(which).export(path, verbose=False)
        return
    session = Session()
    frame = session.spark.range(1).selectExpr("transform(sequence(1, 784), i -> float(i)) AS x")
    frame = frame.repartition(1)
    frame.collect()
    case = CASES["floats"]
    column = case.ours(path) if which == "ours" else case.theirs(path, 256)
    seconds = _seconds(frame, column)
    session.close()
    print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _main(*sys.argv[1:])
