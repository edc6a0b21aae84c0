"""Parquet files that the nodes read themselves, against a bare process for each node.

The bare process reads half of the files with `pyarrow.dataset` into `tf.data`. Both sides have read
the files once when the clock begins.
"""

from __future__ import annotations

import tempfile

import tensorsparkml as tsm
from benchmarks import data, nodes
from benchmarks.bare import run_together
from benchmarks.report import AtLeast, Comparison, Series
from benchmarks.session import Session

_PASSES = 2


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare reading each kind."""
    found = []
    exists = True
    for kind in kinds:
        files = [str(path) for path in data.parquet_files(kind, session.rows(kind))]
        theirs, ours = [], []
        for _ in range(repeats):
            parts = [files[node :: data.NODES] for node in range(data.NODES)]
            theirs.append(
                run_together(
                    "read", [{"kind": kind, "source": part, "passes": _PASSES} for part in parts]
                )
            )
            if exists:
                rate = _read_in_nodes(session, kind, files[0].rpartition("/")[0])
                exists = rate is not None
                ours += [] if rate is None else [rate]
        found.append(
            Comparison(
                what=f"`ctx.read_parquet`, {data.KINDS[kind].title}",
                against="`pyarrow.dataset` → `tf.data`, one bare process per node",
                ours=Series("rows/s", ours) if ours else None,
                theirs=Series("rows/s", theirs),
                limit=AtLeast(0.9),
            )
        )
    return found


def _read_in_nodes(session: Session, kind: str, folder: str) -> float | None:
    dataset = data.KINDS[kind].dataset()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as signals:
        args = {"uri": folder, "dataset": dataset, "passes": _PASSES, "signals": signals}
        results = tsm.run(nodes.read_files, args, spark=session.spark, num_workers=data.NODES)
    if results[0] is None:
        return None
    seconds = max(each["end"] for each in results) - min(each["begin"] for each in results)
    return float(sum(each["rows"] for each in results) / seconds)
