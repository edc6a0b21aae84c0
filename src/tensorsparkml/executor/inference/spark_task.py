"""The Spark task of an inference: sends its partition to one node and yields the results."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import cloudpickle
import pyarrow as pa
import pyarrow.flight as flight

from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import RpcClient, tcp_location
from tensorsparkml.data.inference.wire import (
    BROKEN,
    COMPLETE,
    ELEMENT,
    ELEMENTS,
    Request,
    Signal,
    explain,
    messages,
    send,
)
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.data.spool.transport import is_on_this_host
from tensorsparkml.errors import InferenceError

_ELEMENTS_PER_BATCH = 1000
_SENDER_SECONDS = 1.0  # for the thread that sends to notice that the call was cancelled


def infer(
    credentials: Credentials,
    peers: Sequence[Peer],
    request: Request,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Yield a program's results for a partition, in the order of its rows.

    Args:
        credentials: Those of a feeder.
        peers: All nodes by rank.
        request: The partition and what is wanted of it, with the schema of the program's replies.
        batches: Its rows.

    Raises:
        InferenceError: The node does not give the results.
    """
    filled = (batch for batch in batches if batch.num_rows)
    first = next(filled, None)
    if first is None:
        return
    # Kept columns have the types in which Spark has sent them.
    kept = [first.schema.field(name) for name in request.keep]
    request = replace(request, schema=pa.schema([*kept, *request.schema]))
    peer = choose(peers, request.partition)
    call = _Call(peer, credentials, request, first.schema)
    try:
        yield from call.run(itertools.chain([first], filled))
    finally:
        call.close()


def infer_elements(
    credentials: Credentials, peers: Sequence[Peer], request: Request, elements: Iterable[Any]
) -> Iterator[Any]:
    """Yield a program's results for a partition of an RDD; see `infer`."""
    for batch in infer(credentials, peers, request, _packed(iter(elements))):
        for pickled in batch.column(ELEMENT):
            yield pickle.loads(pickled.as_buffer())


def choose(peers: Sequence[Peer], partition: int) -> Peer:
    """Choose the node for a partition: one on this host if there is one, else any.

    Args:
        peers: All nodes by rank.
        partition: Index of the partition, over which the nodes take turns.
    """
    candidates = [peer for peer in peers if is_on_this_host(peer)] or list(peers)
    return candidates[partition % len(candidates)]


def _packed(elements: Iterator[Any]) -> Iterator[pa.RecordBatch]:
    while chunk := list(itertools.islice(elements, _ELEMENTS_PER_BATCH)):
        pickled = [cloudpickle.dumps(element) for element in chunk]
        yield pa.record_batch([pa.array(pickled, pa.binary())], schema=ELEMENTS)


class _Call:
    """One partition's conversation with a node's agent.

    A thread sends, and the task's own thread receives, so that neither direction has to hold what
    the other is not ready for.
    """

    def __init__(
        self, peer: Peer, credentials: Credentials, request: Request, schema: pa.Schema
    ) -> None:
        self._peer = peer
        self._partition = request.partition
        self._client = RpcClient(tcp_location(peer.host, peer.data_port), credentials)
        descriptor = flight.FlightDescriptor.for_command(request.encode())
        try:
            self._writer, self._reader = self._client.connection.do_exchange(
                descriptor, self._client.options()
            )
            self._writer.begin(schema)
        except BROKEN as error:
            raise InferenceError(self._explain(Signal(explain(error), broken=True))) from error
        self._failed: Exception | None = None
        self._complete = False

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Send all batches and yield the results."""
        self._sender = threading.Thread(target=self._send, args=(batches,), daemon=True)
        self._sender.start()
        for item in messages(self._reader):
            if isinstance(item, LocatedBatch):
                yield item.batch
            elif item.failed is None:
                self._complete = True
                self._sender.join()  # it has sent everything, and Spark's stream is free again
                self._writer.done_writing()
            elif self._failed is not None:
                raise self._failed
            else:
                raise InferenceError(self._explain(item))

    def close(self) -> None:
        """End the call, whatever its state."""
        if not self._complete:
            self._reader.cancel()
            self._sender.join(_SENDER_SECONDS)
        if not self._sender.is_alive():  # else it waits for rows, and nobody waits for it
            with suppress(*BROKEN):
                self._writer.close()
        self._client.close()

    def _send(self, batches: Iterator[pa.RecordBatch]) -> None:
        try:
            for item in self._located(batches):
                try:
                    send(self._writer, item)
                except BROKEN:
                    return  # the other thread sees it as well, and learns why
        except Exception as error:  # computing the rows runs the user's code
            self._failed = error
            self._reader.cancel()

    def _located(self, batches: Iterator[pa.RecordBatch]) -> Iterator[LocatedBatch | Signal]:
        row = 0
        for batch in batches:
            yield LocatedBatch(batch, Origin(self._partition, row))
            row += batch.num_rows
        yield COMPLETE

    def _explain(self, end: Signal) -> str:
        what = f"{self._peer.name} gives no results for partition {self._partition}"
        if not end.broken:
            return f"{what}: {end.failed}"
        return (
            f"{what}: its agent at {self._peer.host}:{self._peer.data_port} does not answer "
            f"({end.failed}). Either the node failed, or the cluster has ended: run actions on the "
            "results of cluster.inference inside the with block"
        )
