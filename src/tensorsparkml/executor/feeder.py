"""The feeder: sends one Spark partition's record batches to the nodes' spools.

Every record batch is cut into one slice per node, so the nodes' shares stay even however the
partitions are sized, and all nodes can begin together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from tensorsparkml.control.messages import Commit, Peer
from tensorsparkml.control.rpc import RpcClient, tcp_location
from tensorsparkml.data.segments import LocatedBatch, Origin
from tensorsparkml.data.transport import SegmentStream


def cut(rows: int, nodes: int, first: int) -> list[tuple[int, int, int]]:
    """Cut rows into one run per node, of sizes that differ by at most one.

    Args:
        rows: Number of rows.
        nodes: Number of nodes.
        first: The node that gets the first run, and an odd row; the caller rotates it.

    Returns:
        Node, start and length of each run that has rows.
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
        token: The cluster's token.
        peers: The nodes that share the feed.
        feed: Name of the feed.
        partition: Index of the Spark partition.
        attempt: Which attempt of the Spark task this is.
        commit: Gets every part of the partition that has arrived.
        commit_bytes: Size of a part; by default the whole partition is one.
    """

    def __init__(
        self,
        token: str,
        peers: Sequence[Peer],
        feed: str,
        partition: int,
        attempt: int,
        commit: Callable[[Commit], object],
        commit_bytes: int | None = None,
    ) -> None:
        self._clients = [
            RpcClient(tcp_location(peer.host, peer.data_port), token) for peer in peers
        ]
        self._feed = feed
        self._partition = partition
        self._attempt = attempt
        self._on_commit = commit
        self._commit_bytes = commit_bytes
        self._streams: dict[int, SegmentStream] = {}
        self._part = 0
        self._sent_bytes = 0

    def run(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Send all batches."""
        total = 0
        for number, batch in enumerate(batches):
            runs = cut(batch.num_rows, len(self._clients), self._partition + number)
            for node, start, length in runs:
                located = LocatedBatch(
                    batch.slice(start, length), Origin(self._partition, total + start)
                )
                self._stream(node, batch.schema).write(located)
            total += batch.num_rows
            self._sent_bytes += batch.nbytes
            if self._commit_bytes is not None and self._sent_bytes >= self._commit_bytes:
                self._commit()
        self._commit()

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def _commit(self) -> None:
        rows = [0] * len(self._clients)
        for node, stream in self._streams.items():
            stream.finish()
            rows[node] = stream.rows
        key = f"{self._partition}.{self._part}"
        self._on_commit(Commit(self._feed, key, self._segment, tuple(rows)))
        self._streams.clear()
        self._part += 1
        self._sent_bytes = 0

    @property
    def _segment(self) -> str:
        return f"{self._partition}.{self._part}-{self._attempt}"

    def _stream(self, node: int, schema: pa.Schema) -> SegmentStream:
        if node not in self._streams:
            client = self._clients[node]
            self._streams[node] = SegmentStream(client, self._feed, self._segment, schema)
        return self._streams[node]
