"""Models and rows, and how each side applies the one to the other."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import tensorsparkml as tsm
from benchmarks import data
from benchmarks.predictions.batch_udf import as_given, batch_udf, decoded, pixels
from benchmarks.predictions.models import COLUMNS
from benchmarks.report import AtLeast, Limit
from benchmarks.session import Session

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_ROWS = 800_000  # of scalars
_JPEGS = 256
_WORDS = ["red", "green", "blue", "yellow"]


@dataclass(frozen=True)
class Case:
    """A model and its rows.

    Attributes:
        title: What they are.
        model: Name of the model.
        limit: What is wanted.
        ours: Makes our column of predictions from the model's path.
        theirs: Makes that of `predict_batch_udf`, from the path and the rows of a batch.
        rows: Returns the rows.
        sizes: Rows of a batch that `predict_batch_udf` is tried with.
        inputs: Columns that the model reads, where Spark alone is measured too.
    """

    title: str
    model: str
    limit: Limit
    ours: Callable[[str], Column]
    theirs: Callable[[str, int], Column]
    rows: Callable[[Session], DataFrame]
    sizes: tuple[int, ...] = (256, 1024, 4096)
    inputs: tuple[str, ...] = ()


def _struct_udf(path: str, size: int) -> Column:
    from pyspark.sql import functions as F

    column: Column = batch_udf(path, size, as_given, [len(COLUMNS)])(F.struct(*COLUMNS))
    return column


def _scalars(session: Session) -> DataFrame:
    """Twenty columns for the model, and thirty that a table has besides."""

    def make(rng: np.random.Generator, rows: int) -> pa.Table:
        inputs = {name: rng.standard_normal(rows, np.float32) for name in COLUMNS}
        kept: dict[str, Callable[[], np.ndarray]] = {
            "whole": lambda: rng.integers(0, 1 << 40, rows),
            "real": lambda: rng.standard_normal(rows),
            "word": lambda: rng.choice(_WORDS, rows),
        }
        tens = {f"{name}{each}": draw() for name, draw in kept.items() for each in range(10)}
        return pa.table({**inputs, **tens})

    return _frame(session, "wide", int(_ROWS * session.scale), make)


def _jpegs(session: Session) -> DataFrame:
    """Pictures of noise that is smooth enough to be compressed as photographs are."""
    from PIL import Image

    def picture(rng: np.random.Generator) -> bytes:
        file = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8))
        small.resize((224, 224)).save(file, "JPEG")
        return file.getvalue()

    def make(rng: np.random.Generator, rows: int) -> pa.Table:
        return pa.table({"x": [picture(rng) for _ in range(rows)]})

    return _frame(session, "jpegs", int(_JPEGS * session.scale), make)


def _frame(
    session: Session, name: str, rows: int, make: Callable[[np.random.Generator, int], pa.Table]
) -> DataFrame:
    files = data.made_files(name, rows, make, {})
    return session.spark.read.parquet(*(str(file) for file in files))


def asked(kinds: list[str]) -> Iterator[Case]:
    """Yield the cases of the kinds of row that were asked for, and those that have their own."""
    for name, case in CASES.items():
        if name in kinds or name not in data.KINDS:
            yield case


CASES = {
    "floats": Case(
        "784 floats, dense network",
        "floats",
        AtLeast(1.4, aim=1.7),
        lambda path: tsm.load_model(path)("x"),
        lambda path, size: batch_udf(path, size, as_given, [784])("x"),
        lambda session: session.frame("floats"),
        inputs=("x",),
    ),
    "images": Case(
        "3,136-byte images, convolutional network",
        "images",
        AtLeast(1.3),
        lambda path: tsm.load_model(path)("x"),
        lambda path, size: batch_udf(path, size, pixels, None)("x"),
        lambda session: session.frame("images"),
    ),
    "jpeg": Case(
        "224 x 224 JPEG images, MobileNetV2",
        "jpeg",
        AtLeast(1.0),
        lambda path: tsm.load_model(path)("x", decode="image"),
        lambda path, size: batch_udf(path, size, decoded, None)("x"),
        _jpegs,
        sizes=(16, 64),
    ),
    "scalars": Case(
        "20 scalar inputs beside 30 columns",
        "scalars",
        AtLeast(2.0),
        lambda path: tsm.load_model(path)(tsm.Matrix(COLUMNS)),
        _struct_udf,
        _scalars,
        inputs=tuple(COLUMNS),
    ),
}
