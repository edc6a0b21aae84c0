"""Runs the comparisons."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import data
from benchmarks.bare import run_together
from benchmarks.first_pass import count_rows
from benchmarks.predictions.batch_udf import constants
from benchmarks.predictions.cases import CASES, Case, asked
from benchmarks.predictions.cold import seconds_to_first
from benchmarks.predictions.models import COLUMNS, model_path
from benchmarks.predictions.tfmodel import tfmodel_rates
from benchmarks.report import AtLeast, AtMostLonger, Comparison, Limit, Series
from benchmarks.session import Session
from benchmarks.tensorflowonspark import VERSION

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_AGAINST = "`predict_batch_udf`, same model"
_COLD_SECONDS = 0.5  # by which our first result may come later, which is what noise does
_WARM_UPS = 2  # of each side, in which models are loaded and the JVMs compile
_BARE_ROWS = 1024  # of a batch; larger ones are no faster


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare predictions over the rows that were asked for, and the first one."""
    found = [_cold(repeats)]
    for case in asked(kinds):
        found += _compare(session, case, repeats)
    return found


def _seconds(frame: DataFrame, column: Column) -> float:
    """Apply a column to all rows, and throw the result away with all columns but the inputs."""
    kept = [name for name in frame.columns if name not in ("x", *COLUMNS)]
    begin = time.monotonic()
    frame.select(*kept, column.alias("p")).write.format("noop").mode("overwrite").save()
    return time.monotonic() - begin


def _in_own_workers(session: Session, name: str) -> None:
    """Let Spark run the functions that are made now in Python workers that no other side uses."""
    session.spark.sparkContext.environment["TENSORSPARKML_BENCHMARK_SIDE"] = name


def _compare(session: Session, case: Case, repeats: int) -> list[Comparison]:
    path, frame = model_path(case.model), case.rows(session)
    rows = frame.count()
    _in_own_workers(session, "theirs")
    columns = {size: case.theirs(path, size) for size in case.sizes}
    tried: dict[int, float] = {}
    for _ in range(_WARM_UPS):
        tried = {size: _seconds(frame, column) for size, column in columns.items()}
    best = min(tried, key=lambda size: tried[size])
    _in_own_workers(session, "ours")
    ours = case.ours(path)
    for _ in range(_WARM_UPS):
        _seconds(frame, ours)

    def line(against: str, limit: Limit, seconds: Callable[[], float]) -> Comparison:
        """Measure both sides in turns."""
        found: list[list[float]] = [[], []]
        for _ in range(repeats):
            found[0].append(rows / _seconds(frame, ours))
            found[1].append(rows / seconds())
        mine, others = (Series("rows/s", each) for each in found)
        return Comparison(f"predictions, {case.title}", against, mine, others, limit)

    against = f"{_AGAINST}, batches of {best:,}"
    lines = [line(against, case.limit, lambda: _seconds(frame, columns[best]))]
    if case.inputs:
        _in_own_workers(session, "constants")
        constant = constants(*case.inputs)
        _seconds(frame, constant)
        against = "a function of Spark's that gives constants, same columns"
        lines.append(line(against, AtLeast(0.85), lambda: _seconds(frame, constant)))
    if case is CASES["floats"]:
        against = "two bare processes that apply the model, and Spark that only counts"
        parts = _seconds_of_parts(session, frame, path)
        lines.append(line(against, AtLeast(0.85), parts))
        against = f"TensorFlowOnSpark {VERSION}, `TFModel.transform`"
        old = Series("rows/s", tfmodel_rates(session, path, repeats))
        lines.append(replace(lines[0], against=against, theirs=old, limit=AtLeast(5)))
    return lines


def _seconds_of_parts(session: Session, frame: DataFrame, path: str) -> Callable[[], float]:
    """The time of the model alone in bare processes, and that of the scan and the conversion."""
    files = data.node_files("floats", session.rows("floats"))
    arguments = [{"path": path, "source": str(file), "batch_size": _BARE_ROWS} for file in files]
    images = frame.select("x")

    def measure() -> float:
        begin = time.monotonic()
        rows = count_rows(images)
        return time.monotonic() - begin + rows / run_together("predict", arguments)

    measure()
    return measure


def _cold(repeats: int) -> Comparison:
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(seconds_to_first("ours"))
        theirs.append(seconds_to_first("theirs"))
    return Comparison(
        what="first prediction of a new application",
        against=_AGAINST,
        ours=Series("s", ours),
        theirs=Series("s", theirs),
        limit=AtMostLonger(_COLD_SECONDS),
    )
