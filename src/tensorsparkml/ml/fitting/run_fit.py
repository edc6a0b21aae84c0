"""Runs a fit when it is its turn, with the rows that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorsparkml.config import make_config
from tensorsparkml.driver.run import RunResults, run
from tensorsparkml.driver.spark.slots import available_slots
from tensorsparkml.ml.fitting.fit_queue import FitQueue
from tensorsparkml.ml.fitting.plan import LabelRange
from tensorsparkml.ml.fitting.rows import Columns, RowsOfFit
from tensorsparkml.ml.params import FitParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

_queue = FitQueue()


@dataclass(frozen=True)
class RowSets:
    """The rows of a fit.

    Attributes:
        train: Those to train with.
        validation: Those to validate with, or None.
        labels: What the labels are, if they are single numbers.
        weighted: Whether rows have weights.
    """

    train: DataFrame
    validation: DataFrame | None
    labels: LabelRange | None
    weighted: bool


def row_sets(data: DataFrame, columns: Columns, estimator: FitParams) -> RowSets:
    """Return the rows of a fit, after a look at them.

    Raises:
        ConfigurationError: The columns do not go together.
        DataError: The rows do not fit.
    """
    rows = RowsOfFit(data, columns)
    labels = rows.check() if columns.looked_at else None
    train, validation = rows.split(estimator.value("validationFraction"), estimator.value("seed"))
    if (given := estimator.value("validationData")) is not None:
        others = RowsOfFit(given, columns.without_indicator)
        if columns.looked_at:
            others.check(validation=True)
        validation, _ = others.split(None, None)
    return RowSets(train, validation, labels, rows.weighted)


def run_fit(
    main: Callable[[Any, Any], Any],
    args: Any,
    rows: RowSets,
    estimator: FitParams,
    *,
    epochs: int = 1,
) -> RunResults:
    """Run the main function of a fit, and return the results by rank.

    Args:
        main: The function.
        args: Its first argument.
        rows: The rows of the feeds `train` and `validation`.
        estimator: Whose fit it is.
        epochs: Number of passes that a `DataFeed` gives.

    Raises:
        TensorSparkMLError: A node has failed, or cannot start.
    """
    settings, seed = estimator.settings(), estimator.value("seed")
    if rows.validation is not None or seed is not None:
        # Jobs feed the nodes, for which those of other fits may leave no slot.
        settings.setdefault("slots", "release")
    spark, slots = rows.train.sparkSession, make_config(settings).launched_nodes
    with _queue.turn(estimator.uid, slots, available_slots(spark, slots)):
        return run(
            main,
            args,
            spark=spark,
            data=rows.train,
            validation=rows.validation,
            epochs=epochs,
            shuffle=estimator.value("shuffle"),
            seed=seed,
            **settings,
        )
