"""The agent's two ends of an inference: Flight calls of Spark tasks, and of its own program.

Neither call touches the other's stream: each has a thread that reads and one that writes, and both
end before the call does. What they share is the exchange, with its two lanes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tensorsparkml.data.inference.wire import BROKEN, Request, Signal, messages, send
from tensorsparkml.data.spool.segments import LocatedBatch
from tensorsparkml.executor.inference.partition_queue import Exchange, InferenceDesk

_LOOK_SECONDS = 0.25  # between looks at whether a task that only waits is still there
_REASON_SECONDS = 5.0  # for the agent to learn why its program is gone


class InferenceRelay:
    """Moves record batches between Spark tasks and the program.

    Args:
        desk: Where they meet.
    """

    def __init__(self, desk: InferenceDesk) -> None:
        self._desk = desk

    def take(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer the action `take` of the program; see `InferenceDesk.take`."""
        exchange, dropped = self._desk.take(body["feed"], body["held"], body["wait_seconds"])
        reply: dict[str, Any] = {"dropped": dropped, "ended": self._desk.ended}
        if exchange is not None:
            reply |= {"exchange": exchange.number, "request": exchange.request.encode()}
        return reply

    def serve_task(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Take a partition's rows from a Spark task and write the results to it."""
        request = Request.decode(descriptor.command)
        writer.begin(request.schema)
        exchange = self._desk.open(request, reader.schema)
        rows = _start(lambda: self._read_rows(exchange, reader))
        try:
            item = exchange.results.get(_LOOK_SECONDS)
            while not isinstance(item, Signal):
                if item is not None:
                    send(writer, item)
                elif context.is_cancelled():
                    return
                item = exchange.results.get(_LOOK_SECONDS)
            send(writer, item)
        except BROKEN:
            pass  # the task is gone: nobody is left to be told
        finally:
            self._desk.leave(exchange)
            rows.join()

    def serve_program(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Write a partition's rows to the program and take the results from it."""
        exchange = self._desk.find(int(descriptor.path[0]))
        if exchange is None:
            return
        results = _start(lambda: self._read_results(exchange, reader))
        try:
            writer.begin(exchange.schema)
            item = exchange.rows.get()
            while isinstance(item, LocatedBatch):
                send(writer, item)
                item = exchange.rows.get()
            if item is not None and item.failed is None:
                send(writer, item)
                item = exchange.results.wait_ended()
            if item is not None and item.failed is not None:
                send(writer, item)
        except BROKEN:
            pass  # the program is gone, which the other thread sees as well
        finally:
            results.join()

    def _read_rows(self, exchange: Exchange, reader: Any) -> None:
        try:
            for item in messages(reader):
                if isinstance(item, LocatedBatch):
                    exchange.rows.put(item)
                elif item.failed is None:
                    exchange.rows.end()
        finally:
            if not exchange.rows.ended:
                self._desk.leave(exchange)

    def _read_results(self, exchange: Exchange, reader: Any) -> None:
        try:
            for item in messages(reader):
                if isinstance(item, LocatedBatch):
                    exchange.results.put(item)
                elif item.failed is None:
                    exchange.results.end()
        finally:
            if not exchange.results.ended:
                why = self._desk.wait_closed(_REASON_SECONDS)
                exchange.fail(why or "its program no longer answers")


def _start(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name="inference", daemon=True)
    thread.start()
    return thread
