"""Record batches from one process to another's spool."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.flight as flight

from tensorsparkml.control.machine import machine_id
from tensorsparkml.control.protocol.keys import Credentials, Guard
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import (
    ExchangeHandler,
    Handler,
    RpcClient,
    RpcServer,
    tcp_location,
)
from tensorsparkml.data.spool.segments import LocatedBatch, Origin, SegmentWriter, segment_path
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.errors import FeedError

# Around a message to the user, to which Flight adds text of its own.
_REFUSED = "\x1f"
# Ends a segment. The stream of a sender that dies ends as well, without an error.
_END = b"end"


class SpoolServer(RpcServer):
    """Takes segments from feeders and from other nodes' agents.

    Args:
        location: Where to listen.
        guard: See `RpcServer`.
        spool: Where the segments go.
        handlers: Further actions.
        exchange: See `RpcServer`.
    """

    def __init__(
        self,
        location: str,
        guard: Guard,
        spool: Spool,
        handlers: Mapping[str, Handler] | None = None,
        exchange: ExchangeHandler | None = None,
    ) -> None:
        self._spool = spool
        super().__init__(location, guard, handlers or {}, exchange)

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Write one segment; it is complete when the call returns to the sender."""
        try:
            target = self._receive(descriptor.path, reader.schema)
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
        except FeedError as error:
            raise flight.FlightServerError(f"{_REFUSED}{error.message}{_REFUSED}") from error

    def _receive(self, path: Sequence[bytes], schema: pa.Schema) -> SegmentWriter:
        """Begin the segment that a call names, which may name anything."""
        if len(path) != 2:
            raise flight.FlightServerError("rows need the names of a feed and a segment")
        try:
            return self._spool.receive(path[0].decode(), path[1].decode(), schema)
        except ValueError as error:
            raise flight.FlightServerError(f"these rows are refused: {error}") from error


class NodeGoneError(ConnectionError):
    """Another node's agent, or its spool, is not there any more."""


class Segment(Protocol):
    """A segment that is being written."""

    def write(self, located: LocatedBatch) -> None:
        """Append a batch."""

    def finish(self) -> None:
        """Return once the segment is complete."""

    def abandon(self) -> None:
        """Give the segment up."""


def is_on_this_host(peer: Peer) -> bool:
    """Whether a node's spool can be written to as files.

    Its name is of this cluster and node alone. On a disk that machines share, it can be seen from
    others, which must send their rows to the node all the same: it could read its files too early.
    """
    return peer.machine == machine_id() and os.access(peer.spool, os.W_OK | os.X_OK)


class SpoolClient:
    """Writes segments into the spool of one node.

    On the node's own host it writes the files that the trainer will read, so that rows are copied
    once; from other hosts it sends them over Arrow Flight.

    Args:
        peer: The node.
        credentials: Those of a feeder.

    Attributes:
        is_local: Whether the node is on this host.
    """

    def __init__(self, peer: Peer, credentials: Credentials) -> None:
        self._peer = peer
        self._credentials = credentials
        self.is_local = is_on_this_host(peer)
        self._client: RpcClient | None = None

    def open(self, feed: str, segment: str, schema: pa.Schema) -> Segment:
        """Begin a segment.

        Args:
            feed: Name of the feed.
            segment: Name of the segment.
            schema: Schema of all batches.

        Raises:
            FeedError: The node's disk is full; as all methods of the segment.
            NodeGoneError: The node cannot be reached; as all methods of the segment.
        """
        with _reaching(self._peer):
            return _Reaching(self._peer, self._open(feed, segment, schema))

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _open(self, feed: str, segment: str, schema: pa.Schema) -> Segment:
        if self.is_local:
            return SegmentWriter(segment_path(Path(self._peer.spool), feed, segment), schema)
        if self._client is None:
            location = tcp_location(self._peer.host, self._peer.data_port)
            self._client = RpcClient(location, self._credentials)
        return _SegmentStream(self._client, feed, segment, schema)


class _SegmentStream:
    """Sends one segment over Flight."""

    def __init__(self, client: RpcClient, feed: str, segment: str, schema: pa.Schema) -> None:
        descriptor = flight.FlightDescriptor.for_path(feed.encode(), segment.encode())
        options = client.options()
        self._writer, self._reader = client.connection.do_put(descriptor, schema, options)

    def write(self, located: LocatedBatch) -> None:
        metadata = pa.py_buffer(located.origin.encode())
        self._writer.write_with_metadata(located.batch, metadata)

    def finish(self) -> None:
        self._writer.write_metadata(pa.py_buffer(_END))
        self._writer.done_writing()
        self._reader.read()
        self._writer.close()

    def abandon(self) -> None:
        """Do nothing: the stream ends with its connection, and without `_END`."""


class _Reaching:
    """A segment whose errors say which node is gone."""

    def __init__(self, peer: Peer, segment: Segment) -> None:
        self._peer = peer
        self._segment = segment

    def write(self, located: LocatedBatch) -> None:
        with _reaching(self._peer):
            self._segment.write(located)

    def finish(self) -> None:
        with _reaching(self._peer):
            self._segment.finish()

    def abandon(self) -> None:
        self._segment.abandon()


@contextmanager
def _reaching(peer: Peer) -> Iterator[None]:
    try:
        yield
    except (
        flight.FlightUnavailableError,
        flight.FlightTimedOutError,
        flight.FlightCancelledError,
        FileNotFoundError,
    ) as error:
        raise NodeGoneError(f"{peer.name} on {peer.host} is gone: {error}") from error
    except flight.FlightServerError as error:
        if message := _told(error):
            raise FeedError(message, node=peer.name) from error
        raise


def _told(error: Exception) -> str | None:
    """Return what the other node's spool tells the user, if an error of Flight's contains that."""
    _, mark, text = str(error).partition(_REFUSED)
    return text.partition(_REFUSED)[0] if mark else None


def send_segment(
    peer: Peer, credentials: Credentials, feed: str, segment: str, batches: Iterable[LocatedBatch]
) -> None:
    """Send batches, of which there is at least one, as one segment to one node.

    Raises:
        FeedError: Its disk is full.
        NodeGoneError: The node cannot be reached.
    """
    client = SpoolClient(peer, credentials)
    target: Segment | None = None
    try:
        for located in batches:
            target = target or client.open(feed, segment, located.batch.schema)
            target.write(located)
        if target is not None:
            target.finish()
    except BaseException:
        if target is not None:
            target.abandon()
        raise
    finally:
        client.close()
