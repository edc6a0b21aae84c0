"""Stages of Spark ML, against the same work without them.

A fit of the demo's model is timed from the call to the model, as a `tsm.run` of the same training
is to its result: both start two nodes. Predictions are those of a small network over 784 floats,
of the same content once as a `KerasModel` and once as a file for `tsm.load_model`. They are
compared as the array of the ten numbers, and as the three columns that a classifier adds, which
Spark's own functions can make of the array, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import tensorsparkml as tsm
from benchmarks import data
from benchmarks.first_pass import count_rows
from benchmarks.report import AtMost, Comparison, Series
from benchmarks.session import Session
from tensorsparkml.ml import KerasEstimator
from tensorsparkml.ml.keras_files import archive_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BATCH_SIZE = 128  # over both nodes
_EPOCHS = 4
_WARM_UPS = 2  # of each side


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare fits and predictions."""
    return [_fits(session, repeats), *_predictions(session, repeats)]


def _demo_model() -> Any:
    import mnist_keras  # shipped by the driver

    return mnist_keras.make_model()


def _small_model() -> Any:
    import keras

    layers = [keras.layers.Dense(128, "relu"), keras.layers.Dense(10, "softmax", name="p")]
    model = keras.Sequential([keras.Input((784,), name="x"), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _train(args: Any, ctx: Any) -> Any:
    """Train as the estimator does, and return what it returns: the model's file."""
    with ctx.strategy.scope():
        model = _demo_model()
    rows = ctx.dataset(global_batch_size=_BATCH_SIZE, features="image", label="label")
    model.fit(rows, epochs=_EPOCHS, verbose=0)
    return archive_of(model) if ctx.is_chief else None


def _timed(call: Callable[[], Any]) -> float:
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def _compare(
    what: str,
    against: str,
    limit: float,
    repeats: int,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
) -> Comparison:
    """Time both sides in turns, the first of them in turns, too."""
    found: list[list[float]] = [[], []]
    sides = list(enumerate((ours, theirs)))
    for repeat in range(repeats):
        for place, call in sides if repeat % 2 else reversed(sides):
            found[place].append(_timed(call))
    mine, others = (Series("s", each) for each in found)
    return Comparison(what, against, mine, others, AtMost(limit))


def _fits(session: Session, repeats: int) -> Comparison:
    session.spark.sparkContext.addPyFile(str(data.ROOT / "examples" / "mnist_keras.py"))
    digits = session.spark.read.parquet(str(data.digits()))
    assert count_rows(digits) == digits.count()  # Spark has started its Python, too
    estimator = KerasEstimator(
        _demo_model,
        featuresCol="image",
        epochs=_EPOCHS,
        batchSize=_BATCH_SIZE,
        numWorkers=data.NODES,
    )
    settings: dict[str, Any] = {"data": digits, "shuffle": True, "num_workers": data.NODES}
    ours = partial(estimator.fit, digits)
    theirs = partial(tsm.run, _train, spark=session.spark, **settings)
    _timed(ours)
    return _compare("`KerasEstimator.fit`", "`tsm.run`", 1.05, repeats, ours, theirs)


def _predictions(session: Session, repeats: int) -> list[Comparison]:
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    digits = session.spark.read.parquet(str(data.digits()))
    settings: dict[str, Any] = {"featuresCol": "image", "batchSize": _BATCH_SIZE}
    classifier = KerasEstimator(_small_model, **settings).fit(digits).setFeaturesCol("x")
    numbers = classifier.copy().setParams(outputCols={"p": "p"})
    file = data.CACHE / "spark-ml.keras"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(classifier.archive)
    frame = session.frame("floats")

    def apply(name: str, transform: Callable[[DataFrame], DataFrame]) -> None:
        # Python workers that no other side uses.
        session.spark.sparkContext.environment["TENSORSPARKML_BENCHMARK_SIDE"] = name
        scored = transform(frame).drop("x")
        scored.write.format("noop").mode("overwrite").save()

    def with_engine(rows: DataFrame) -> DataFrame:
        return tsm.load_model(file).transform(rows, features="x", outputs={"p": "p"})

    def by_hand(rows: DataFrame) -> DataFrame:
        logits = F.expr("transform(p, each -> ln(each + 1e-30D))")  # ln(0) is null
        return with_engine(rows).select(
            *rows.columns,
            array_to_vector(logits).alias("rawPrediction"),
            array_to_vector(F.col("p")).alias("probability"),
            F.expr("double(array_position(p, array_max(p)) - 1) AS prediction"),
        )

    found = []
    for what, against, model, theirs in (
        ("an array of ten numbers", "", numbers, with_engine),
        ("three columns", ", and Spark's functions for the columns", classifier, by_hand),
    ):
        sides = partial(apply, what, model.transform), partial(apply, "engine", theirs)
        for _ in range(_WARM_UPS):
            for side in sides:
                side()
        found.append(
            _compare(
                f"`KerasModel.transform`, {what}",
                f"`tsm.load_model`{against}",
                1.02,
                repeats,
                *sides,
            )
        )
    return found
