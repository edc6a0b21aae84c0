"""Rows of 1,500 columns: one tensor, against Spark counting them, and against a tensor for each.

The first pass is measured as that of other rows is, in `first_pass.py`. Later passes over one
tensor are compared with those over a dict of 1,500, of fewer rows, because these take long.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.first_pass import feed_rates
from benchmarks.report import AtLeast, Comparison, Series
from benchmarks.session import Session


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare both kinds of passes; there is one kind of row."""
    together = feed_rates(session, "matrix", repeats, True)
    single = feed_rates(session, "columns", repeats, True, warm_ups=1)
    layout = data.WIDE_KINDS["matrix"]
    what = f"{layout.title}, batches of {layout.batch_size:,}"
    return [
        Comparison(
            what=f"first pass, {what}",
            against="`mapInArrow` that only counts, same DataFrame, same slots",
            ours=Series("rows/s", together.first),
            theirs=Series("rows/s", together.counted),
            limit=AtLeast(0.7),
            cpu={"counting": together.cpu_counting, "feeding": together.cpu_feeding},
        ),
        Comparison(
            what=f"every later pass, {what}",
            against="the same with a tensor for each column",
            ours=Series("rows/s", together.later),
            theirs=Series("rows/s", single.later),
            limit=AtLeast(20),
        ),
    ]
