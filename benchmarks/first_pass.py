"""First pass: rows from Spark into the nodes' tf.data, against Spark counting them in Python.

Both use the same DataFrame and, because the cluster holds its slots while Spark counts, the same
task slots. They take turns. A node's rows are there when its loop over `ctx.dataset` has had its
last batch; the clock begins with the call of `train`, when the nodes run and wait for the feed.

The nodes keep the rows for later passes, which takes memory that counting does not take; or, with
`cache=False`, they drop what they have read. After the later passes of a round they end the feed,
so that its rows are deleted and a round finds the machine as the one before did.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorsparkml as tsm
from benchmarks import data, nodes
from benchmarks.cpu import cpu_seconds, spent
from benchmarks.report import AtLeast, Comparison, Series
from benchmarks.session import Session, wait_for_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LATER_PASSES = 2
_WARM_UPS = (
    2  # rounds before those that are measured, in which the JVMs compile what both sides run
)
_LIMITS = {
    "floats": AtLeast(0.75, aim=0.85),
    "images": AtLeast(0.65, aim=0.85),
    "scalars": AtLeast(0.75, aim=0.85),
}


@dataclass
class FeedRates:
    """Rows per second, over all nodes, of each repeat."""

    counted: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    cpu_counting: list[dict[str, float]] = field(default_factory=list)
    cpu_feeding: list[dict[str, float]] = field(default_factory=list)


def count_rows(frame: DataFrame) -> int:
    """Let Spark pass all rows through Python, which counts them."""

    def count(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        yield pa.record_batch({"rows": pa.array([sum(b.num_rows for b in batches)], pa.int64())})

    return sum(row.rows for row in frame.mapInArrow(count, "rows long").collect())


@cache
def feed_rates(
    session: Session, kind: str, repeats: int, keep: bool, warm_ups: int = _WARM_UPS
) -> FeedRates:
    """Measure a kind of row; the result is kept for other benchmarks of this run.

    Args:
        session: The Spark session.
        kind: Name of the kind.
        repeats: How often each side is measured.
        keep: Whether the nodes keep the rows; otherwise there are no later passes.
        warm_ups: Rounds before those that are measured.
    """
    frame, rows, layout = session.frame(kind), session.rows(kind), data.ALL_KINDS[kind]
    feeds = [f"round-{number}" for number in range(warm_ups + repeats)]
    rates, begins = FeedRates(), []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        signals = Path(folder)
        args = {
            "feeds": feeds,
            "signals": folder,
            "later": LATER_PASSES if keep else 0,
            "dataset": layout.dataset(),
        }
        with tsm.Cluster(
            nodes.read_feeds, args, spark=session.spark, num_workers=data.NODES, slots=session.slots
        ) as cluster:
            for feed in feeds:
                wait_for_files([signals / f"{feed}-waits-{rank}" for rank in range(data.NODES)])
                before = cpu_seconds()
                begin = time.time()
                assert count_rows(frame) == rows
                rates.counted.append(rows / (time.time() - begin))
                between = cpu_seconds()
                begins.append(time.time())
                cluster.train(frame, feed=feed, cache=keep)
                after = cpu_seconds()
                rates.cpu_counting.append(spent(before, between))
                rates.cpu_feeding.append(spent(between, after))
                (signals / f"{feed}-again").touch()
    for number, begin in enumerate(begins):
        reports = [result[number] for result in cluster.results]
        assert sum(report["rows"] for report in reports) == rows
        rates.first.append(rows / (max(r["first_end"] for r in reports) - begin))
        if keep:
            later = max(r["later_end"] for r in reports) - min(r["later_begin"] for r in reports)
            rates.later.append(rows * LATER_PASSES / later)
    for measured in vars(rates).values():
        del measured[:warm_ups]
    return rates


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare the first pass of each kind with counting."""
    found = []
    for kind, keep in product(kinds, (True, False)):
        rates = feed_rates(session, kind, repeats, keep)
        name = "first pass" if keep else "first pass, rows not kept (`cache=False`)"
        layout = data.KINDS[kind]
        found.append(
            Comparison(
                what=f"{name}, {layout.title}, batches of {layout.batch_size:,}",
                against="`mapInArrow` that only counts, same DataFrame, same slots",
                ours=Series("rows/s", rates.first),
                theirs=Series("rows/s", rates.counted),
                limit=_LIMITS[kind],
                cpu={"counting": rates.cpu_counting, "feeding": rates.cpu_feeding},
            )
        )
    return found
