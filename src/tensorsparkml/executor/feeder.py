"""The feeder: sends one Spark partition's record batches to the nodes' spools.

Every record batch is cut into one slice for each of several nodes: for all, so that shares stay
even however the partitions are sized, or for those of the feeder's own host, so that rows need not
cross the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.data.segments import LocatedBatch, Origin
from tensorsparkml.data.transport import Segment, SpoolClient
from tensorsparkml.executor.placement import Place

_PLACED_BYTES = 32 * 2**20  # for which nodes are chosen at once


def cut(rows: int, nodes: int, first: int) -> list[tuple[int, int, int]]:
    """Cut rows into one run per node, of sizes that differ by at most one.

    Args:
        rows: Number of rows.
        nodes: Number of nodes.
        first: The node that gets the first run, and an odd row; the caller rotates it.

    Returns:
        Place among the nodes, start and length of each run that has rows.
    """
    base, odd = divmod(rows, nodes)
    runs, start = [], 0
    for place in range(nodes):
        length = base + (place < odd)
        if length:
            runs.append(((first + place) % nodes, start, length))
        start += length
    return runs


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
        self._begin_part(0)

    def run(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Send all batches."""
        total = 0
        for number, batch in enumerate(batches):
            ranks = self._choose_nodes(batch)
            for place, start, length in cut(batch.num_rows, len(ranks), self._partition + number):
                located = LocatedBatch(
                    batch.slice(start, length), Origin(self._partition, total + start)
                )
                self._write(ranks[place], located)
            total += batch.num_rows
            if self._commit_bytes is not None and sum(self._bytes) >= self._commit_bytes:
                self._commit()
        self._commit()

    def close(self) -> None:
        """Close all connections, and give up what is not complete."""
        for segment in self._segments.values():
            segment.abandon()
        for client in self._clients:
            client.close()

    def _choose_nodes(self, batch: pa.RecordBatch) -> Sequence[int]:
        if 0 < len(self._near) < len(self._clients):
            size = batch.nbytes  # which takes a while where there are many columns
            if self._placed_bytes is None or self._placed_bytes <= 0:
                placed = max(size, _PLACED_BYTES)
                self._ranks = self._place(self._placed_bytes is None, self._near, placed)
                self._placed_bytes = placed
            self._placed_bytes -= size
        return self._ranks

    def _begin_part(self, part: int) -> None:
        self._part = part
        self._segments: dict[int, Segment] = {}
        self._rows = [0] * len(self._clients)
        self._bytes = [0] * len(self._clients)

    def _write(self, node: int, located: LocatedBatch) -> None:
        if node not in self._segments:
            client = self._clients[node]
            self._segments[node] = client.open(self._feed, self._segment, located.batch.schema)
        self._segments[node].write(located)
        self._rows[node] += located.batch.num_rows
        self._bytes[node] += located.batch.nbytes

    def _commit(self) -> None:
        for segment in self._segments.values():
            segment.finish()
        key = f"{self._partition}.{self._part}"
        rows, sizes = tuple(self._rows), tuple(self._bytes)
        self._on_commit(Commit(self._feed, key, self._segment, rows, sizes))
        self._begin_part(self._part + 1)

    @property
    def _segment(self) -> str:
        return f"{self._partition}.{self._part}-{self._attempt}"
