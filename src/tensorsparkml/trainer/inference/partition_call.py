"""The program's end of an inference: fetches partitions from the agent and sends results back."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from tensorsparkml.data.inference.wire import BROKEN, COMPLETE, Request, messages, send
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.inference.batcher import RowBuffer, RowStream


class PartitionCalls:
    """Fetches a feed's partitions, several side by side.

    Args:
        agent: The node's agent.
        feed: Name of the feed.
        buffer: Gets their rows.
    """

    def __init__(self, agent: AgentClient, feed: str, buffer: RowBuffer) -> None:
        self._agent = agent
        self._feed = feed
        self._buffer = buffer
        self._streams: dict[int, RowStream] = {}
        self._calls: dict[RowStream, PartitionCall] = {}

    def start(self) -> None:
        """Begin to fetch."""
        threading.Thread(target=self._fetch, name="inference", daemon=True).start()

    def answer(self, stream: RowStream, results: LocatedBatch) -> None:
        """Send the reply to one batch; it is dropped where nobody waits for it any more."""
        call = self._calls.get(stream)
        if call is None:
            return
        if results.batch.num_rows and not call.send(results):
            self._buffer.drop(stream)
        if self._buffer.answered(stream):
            call.finish()

    def _fetch(self) -> None:
        try:
            while True:
                reply = self._agent.take(self._feed, list(self._streams))
                for number in reply["dropped"]:
                    self._drop(number)
                if "exchange" in reply:
                    self._open(reply["exchange"], Request.decode(reply["request"]))
                elif reply["ended"] and not self._streams:
                    self._buffer.end()
                    return
        except Exception as error:  # whatever it is, the program's own thread must raise it
            self._buffer.end(error)

    def _open(self, number: int, request: Request) -> None:
        stream = self._buffer.open(request)
        call = PartitionCall(*self._agent.exchange(number, request.schema))
        self._streams[number] = stream
        self._calls[stream] = call
        threading.Thread(
            target=self._receive, args=(number, stream, call), name="inference", daemon=True
        ).start()

    def _receive(self, number: int, stream: RowStream, call: PartitionCall) -> None:
        try:
            for item in messages(call.reader):
                if isinstance(item, LocatedBatch):
                    self._buffer.append(stream, item)
                elif item.failed is not None:
                    self._buffer.drop(stream)
                    call.finish()
                elif self._buffer.complete(stream):
                    call.finish()
        except Exception as error:  # as above
            self._buffer.end(error)
        self._drop(number)  # unless it is through, its task has gone
        del self._calls[stream]
        call.close()

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._buffer.drop(stream)


class PartitionCall:
    """One partition's call.

    Args:
        writer: For the results.
        reader: For the rows.
    """

    def __init__(self, writer: Any, reader: Any) -> None:
        self.reader = reader
        self._writer = writer
        self._lock = threading.Lock()
        self._open = True

    def send(self, results: LocatedBatch) -> bool:
        """Send results and return whether anybody still waits for them."""
        with self._lock:
            try:
                if self._open:
                    send(self._writer, results)
            except BROKEN:
                self._open = False
            return self._open

    def finish(self) -> None:
        """Say that all results are sent."""
        with self._lock:
            try:
                if self._open:
                    send(self._writer, COMPLETE)
                    self._writer.done_writing()
            except BROKEN:
                pass  # nobody waits any more
            self._open = False

    def close(self) -> None:
        """End the call."""
        with self._lock:
            self._open = False
            with suppress(*BROKEN):  # it broke before
                self._writer.close()
