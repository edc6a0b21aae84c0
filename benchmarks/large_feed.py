"""A feed of 4 GB through nodes that may hold 512 MB, and a program that is slower than Spark."""

from __future__ import annotations

import tempfile

import tensorsparkml as tsm
from benchmarks import data, nodes
from benchmarks.report import Comparison, Series, Under
from benchmarks.session import Session

_LIMIT = 512 * 10**6  # bytes on each node
_FEED = 4 * 10**9  # bytes
_FLOATS, _ROW = 800, 3_208  # of a row, and its bytes
_PARTITION_ROWS = 10_000


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Feed once, and compare what was held at most with what may be."""
    rows = int(_FEED * session.scale / _ROW)
    frame = session.spark.range(0, rows, 1, -(-rows // _PARTITION_ROWS)).selectExpr(
        "id", f"transform(sequence(1, {_FLOATS}), i -> cast(id + i as float)) x"
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        args = {"batch_size": 1024, "pause_seconds": 0.15, "work_dir": folder}
        with tsm.Cluster(
            nodes.read_slowly,
            args,
            spark=session.spark,
            num_workers=data.NODES,
            work_dir=folder,
            spool_bytes=_LIMIT,
        ) as cluster:
            report = cluster.train(frame, cache=False)
    assert report.rows_read == report.rows == rows
    found = []
    # A feeding slot may bring a partition, of which each node gets its part, past the limit.
    most_spooled = (_LIMIT * data.NODES + 2 * _PARTITION_ROWS * _ROW) / 1e6
    for what, key, limit in [
        ("resident memory of an agent", "agent_bytes", (_LIMIT + 200 * 10**6) / 1e6),
        ("all rows on the disks of two nodes", "spool_bytes", most_spooled),
    ]:
        sizes = [result[key] / 1e6 for result in cluster.results]
        found.append(
            Comparison(
                what=f"a feed of {rows * _ROW / 1e9:.1f} GB, 512 MB on each node, at most: {what}",
                against="the limit",
                ours=Series("MB", [max(sizes)]),
                theirs=Series("MB", [limit]),
                limit=Under(limit, "MB"),
            )
        )
    return found
