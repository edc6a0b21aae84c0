"""The feeder: sends one Spark partition's record batches to the nodes' spools.

Record batches are cut into slices for several nodes in turn: for all, so that shares stay even
however the partitions are sized, or for those of the feeder's own host, so that rows need not cross
the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.data.spool.transport import Segment, SpoolClient
from tensorsparkml.executor.feeding.placement import Place
from tensorsparkml.executor.feeding.slices import Slicer, first_node

_PLACED_BYTES = 32 * 2**20  # for which nodes are chosen at once


class Feeder:
    """Delivers the rows of one partition.

    Args:
        credentials: Those of a feeder.
        peers: The nodes that share the feed.
        feed: Name of the feed.
        partition: Index of the Spark partition.
        attempt: Which attempt of the Spark task this is.
        commit: Gets every part of the partition that has arrived.
        place: Chooses the nodes, where some, but not all, are on this host.
        commit_bytes: Size of a part; by default the whole partition is one.
        job: Number of the Spark job, among those that bring rows for the feed.
    """

    def __init__(
        self,
        credentials: Credentials,
        peers: Sequence[Peer],
        feed: str,
        partition: int,
        attempt: int,
        commit: Callable[[Commit], object],
        place: Place,
        commit_bytes: int | None = None,
        job: int = 0,
    ) -> None:
        self._clients = [SpoolClient(peer, credentials) for peer in peers]
        self._feed = feed
        self._partition = partition
        self._attempt = attempt
        self._on_commit = commit
        self._place = place
        self._near = [rank for rank, client in enumerate(self._clients) if client.is_local]
        self._ranks: Sequence[int] = range(len(peers))
        self._placed_bytes: int | None = None
        self._commit_bytes = commit_bytes
        self._job = job
        self._slicers: dict[int, Slicer] = {}  # by how many nodes share the rows
        self._begin_part(0)

    def run(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Send all batches."""
        total = 0
        for batch in batches:
            size = batch.nbytes  # which takes a while where there are many columns
            ranks = self._choose_nodes(size)
            for part in self._slicer(len(ranks)).cut(batch.num_rows, size):
                located = LocatedBatch(
                    batch.slice(part.start, part.rows), Origin(self._partition, total + part.start)
                )
                self._write(ranks[part.node], located, size * part.rows // batch.num_rows)
            total += batch.num_rows
            if self._commit_bytes is not None and self._bytes.total() >= self._commit_bytes:
                self._commit()
        self._commit()

    def close(self) -> None:
        """Close all connections, and give up what is not complete."""
        for segment in self._segments.values():
            segment.abandon()
        for client in self._clients:
            client.close()

    def _choose_nodes(self, size: int) -> Sequence[int]:
        if 0 < len(self._near) < len(self._clients):
            if self._placed_bytes is None or self._placed_bytes <= 0:
                placed = max(size, _PLACED_BYTES)
                self._ranks = self._place(self._placed_bytes is None, self._near, placed)
                self._placed_bytes = placed
            self._placed_bytes -= size
        return self._ranks

    def _slicer(self, nodes: int) -> Slicer:
        if nodes not in self._slicers:
            first = first_node(self._job, self._partition, nodes)
            self._slicers[nodes] = Slicer(nodes, first)
        return self._slicers[nodes]

    def _begin_part(self, part: int) -> None:
        self._part = part
        self._segments: dict[int, Segment] = {}
        self._rows: Counter[int] = Counter()  # by rank
        self._bytes: Counter[int] = Counter()

    def _write(self, node: int, located: LocatedBatch, size: int) -> None:
        if node not in self._segments:
            client = self._clients[node]
            self._segments[node] = client.open(self._feed, self._segment, located.batch.schema)
        self._segments[node].write(located)
        self._rows[node] += located.batch.num_rows
        self._bytes[node] += size

    def _commit(self) -> None:
        for segment in self._segments.values():
            segment.finish()
        key = f"{self._partition}.{self._part}"
        ranks = tuple(sorted(self._segments))
        rows = tuple(self._rows[rank] for rank in ranks)
        sizes = tuple(self._bytes[rank] for rank in ranks)
        self._on_commit(Commit(self._feed, key, self._segment, ranks, rows, sizes))
        self._begin_part(self._part + 1)

    @property
    def _segment(self) -> str:
        return f"{self._partition}.{self._part}-{self._attempt}"
