"""Record batches from one process to another's spool, over Arrow Flight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from tensorsparkml.control.messages import Peer
from tensorsparkml.control.rpc import ExchangeHandler, Handler, RpcClient, RpcServer, tcp_location
from tensorsparkml.data.segments import LocatedBatch, Origin
from tensorsparkml.data.spool import Spool

# Ends a segment. The stream of a sender that dies ends as well, without an error.
_END = b"end"


class SpoolServer(RpcServer):
    """Takes segments from feeders and from other nodes' agents.

    Args:
        location: Where to listen.
        token: What every call must carry.
        spool: Where the segments go.
        handlers: Further actions.
        exchange: See `RpcServer`.
    """

    def __init__(
        self,
        location: str,
        token: str,
        spool: Spool,
        handlers: Mapping[str, Handler] | None = None,
        exchange: ExchangeHandler | None = None,
    ) -> None:
        self._spool = spool
        super().__init__(location, token, handlers or {}, exchange)

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Write one segment; it is complete when the call returns to the sender."""
        feed, segment = (part.decode() for part in descriptor.path)
        target = self._spool.receive(feed, segment, reader.schema)
        try:
            for chunk in reader:
                if chunk.data is None:
                    target.finish()
                    return
                target.write(LocatedBatch(chunk.data, Origin.decode(chunk.app_metadata)))
        except BaseException:
            target.abandon()
            raise
        target.abandon()


class SegmentStream:
    """Sends one segment to one node.

    Args:
        client: Connection to the node's agent.
        feed: Name of the feed.
        segment: Name of the segment.
        schema: Schema of all batches.
    """

    def __init__(self, client: RpcClient, feed: str, segment: str, schema: pa.Schema) -> None:
        descriptor = flight.FlightDescriptor.for_path(feed.encode(), segment.encode())
        options = client.options()
        self._writer, self._reader = client.connection.do_put(descriptor, schema, options)
        self.rows = 0

    def write(self, located: LocatedBatch) -> None:
        """Send a batch."""
        metadata = pa.py_buffer(located.origin.encode())
        self._writer.write_with_metadata(located.batch, metadata)
        self.rows += located.batch.num_rows

    def finish(self) -> None:
        """Return once the receiver has the segment complete."""
        self._writer.write_metadata(pa.py_buffer(_END))
        self._writer.done_writing()
        self._reader.read()
        self._writer.close()


def send_segment(
    peer: Peer, token: str, feed: str, segment: str, batches: Iterable[LocatedBatch]
) -> None:
    """Send batches, of which there is at least one, as one segment to one node."""
    client = RpcClient(tcp_location(peer.host, peer.data_port), token)
    try:
        stream: SegmentStream | None = None
        for located in batches:
            stream = stream or SegmentStream(client, feed, segment, located.batch.schema)
            stream.write(located)
        if stream is not None:
            stream.finish()
    finally:
        client.close()
