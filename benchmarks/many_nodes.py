"""Rows for many nodes: to write and to assemble them must cost as much as for two.

Feeders write partitions into the spools of all nodes, as files, and readers assemble what each of
these has got. All are the real ones, in this process; there is neither Spark nor TensorFlow. The
nodes are spools on one host, so that no feeder asks where its rows should go. Rates are by CPU
time, with the kernel's, because nothing waits here. Beside them the table says how many rows would
move when the feed is closed: most, where a feed is as small as this one for so many nodes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import data
from benchmarks.report import AtLeast, Comparison, Limit, Series, table
from benchmarks.session import Session
from tensorsparkml.control.feeds.lockstep import balance
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.spool.segments import RowReader, segment_path
from tensorsparkml.executor.feeding.feeder import Feeder

_FEW = 2
_NODES = {200: AtLeast(0.9), 1_000: AtLeast(0.8)}
_PARTITIONS = 4
_BATCHES = 8  # different ones, which repeat
_FEED = "train"
_HEADER = ["rows", "nodes", "rows/s", "segments", "files / rows", "moved at close"]


@dataclass(frozen=True)
class Figures:
    """What one number of nodes gave.

    Attributes:
        rate: Rows per second of CPU time.
        segments: Number of segments.
        size: Size of the segments, relative to that of the rows in Arrow.
        moved: Part of the rows that would move when the feed is closed.
    """

    rate: float
    segments: int
    size: float
    moved: float

    @property
    def cells(self) -> list[str]:
        """The figures as the table has them."""
        return [
            f"{self.rate:,.0f}",
            f"{self.segments:,}",
            f"{self.size:.2f}",
            f"{self.moved:.0%}",
        ]


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Compare the rates of all numbers of nodes with that of two."""
    found = []
    for kind in kinds:
        rows = int(data.KINDS[kind].rows * session.scale)
        rates: dict[int, list[float]] = {nodes: [] for nodes in (_FEW, *_NODES)}
        lines = []
        measure(kind, _FEW, rows)  # imports, and memory that is brought from the machine's host
        for _ in range(repeats):
            for nodes, each in rates.items():
                figures = measure(kind, nodes, rows)
                each.append(figures.rate)
                lines.append([kind, f"{nodes:,}", *figures.cells])
        print(f"\n{table(_HEADER, lines)}")
        found += [_comparison(kind, nodes, rates, limit) for nodes, limit in _NODES.items()]
    return found


def measure(kind: str, nodes: int, rows: int) -> Figures:
    """Return the figures of so many rows of a kind."""
    batches = data.record_batches(kind, _BATCHES)
    per_partition = -(-rows // _PARTITIONS)
    commits: list[Commit] = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        peers = [_peer(Path(folder), rank) for rank in range(nodes)]
        begin = time.process_time()
        for partition in range(_PARTITIONS):
            own = min(per_partition, rows - partition * per_partition)
            _feed(peers, partition, _partition(batches, own), commits)
        for rank, peer in enumerate(peers):
            _read(kind, Path(peer.spool), rank, commits)
        seconds = time.process_time() - begin
        files = list(Path(folder).rglob("*.arrow"))
        written = sum(path.stat().st_size for path in files)
    sent = sum(sum(commit.bytes) for commit in commits)
    shares = [0] * nodes
    for commit in commits:
        for rank, count in commit.rows_by_rank.items():
            shares[rank] += count
    moved = sum(move.rows for move in balance(shares))
    return Figures(rows / seconds, len(files), written / sent, moved / rows)


def _peer(folder: Path, rank: int) -> Peer:
    spool = folder / str(rank)
    spool.mkdir()
    return Peer(rank, "worker", rank, "127.0.0.1", 0, 0, str(spool))


def _partition(batches: Sequence[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    found: list[pa.RecordBatch] = []
    while rows > 0:
        batch = batches[len(found) % len(batches)].slice(0, rows)
        found.append(batch)
        rows -= batch.num_rows
    return found


def _feed(
    peers: Sequence[Peer], partition: int, batches: list[pa.RecordBatch], commits: list[Commit]
) -> None:
    every = range(len(peers))
    feeder = Feeder(Credentials(""), peers, _FEED, partition, 0, commits.append, lambda *_: every)
    try:
        feeder.run(iter(batches))
    finally:
        feeder.close()


def _read(kind: str, spool: Path, rank: int, commits: Sequence[Commit]) -> None:
    reader = RowReader()
    for commit in commits:
        if rows := commit.rows_by_rank.get(rank):
            reader.append(str(segment_path(spool, _FEED, commit.segment)), rows)
    if not reader.rows:
        return
    batch_size = data.KINDS[kind].batch_size
    assembler = Assembler(None, data.KINDS[kind].convert, reader.first_batch())
    for start in range(0, reader.rows, batch_size):
        slices = reader.read(start, min(batch_size, reader.rows - start))
        arrays = assembler.assemble(slices)
        assert all(len(array) for array in arrays.values() if isinstance(array, np.ndarray))
    reader.close()


def _comparison(kind: str, nodes: int, rates: dict[int, list[float]], limit: Limit) -> Comparison:
    return Comparison(
        what=f"rows for {nodes:,} nodes, written and assembled, {data.KINDS[kind].title}",
        against=f"the same rows for {_FEW} nodes",
        ours=Series("rows/s", rates[nodes]),
        theirs=Series("rows/s", rates[_FEW]),
        limit=limit,
    )
