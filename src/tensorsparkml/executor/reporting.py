"""The agent's two conversations with the coordinator: reporting, and waiting for directives."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow.flight as flight

from tensorsparkml.control.messages import Directive, decode_directive
from tensorsparkml.control.rpc import RpcClient
from tensorsparkml.executor.logs import NodeLog

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # how long the coordinator may hold a poll, so at least this often it hears us
_CALL_SECONDS = 5.0
_RETRY_SECONDS = 0.2


class Lease:
    """When the coordinator was last heard.

    Args:
        seconds: Silence after which it counts as gone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Record that the coordinator answered."""
        self._renewed = time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether it has been silent for too long."""
        return time.monotonic() - self._renewed > self._seconds


class Mailbox:
    """Fetches directives and hands them on, in order, each once.

    Args:
        client: Connection to the coordinator, used by this object alone.
        rank: Rank of the node.
        lease: Renewed by every answer.
        deliver: Called with each directive.
    """

    def __init__(
        self, client: RpcClient, rank: int, lease: Lease, deliver: Callable[[Directive], None]
    ) -> None:
        self._client = client
        self._rank = rank
        self._lease = lease
        self._deliver = deliver
        self._stopped = threading.Event()

    def run(self) -> None:
        """Poll until stopped; meant for a thread of its own."""
        seen = 0
        while not self._stopped.is_set():
            try:
                reply = self._client.call(
                    "poll",
                    {"rank": self._rank, "seen": seen, "wait": _POLL_SECONDS},
                    timeout=_CALL_SECONDS,
                )
            except flight.FlightError as error:
                logger.warning("the coordinator did not answer: %s", error)
                self._stopped.wait(_RETRY_SECONDS)
                continue
            self._lease.renew()
            for body in reply["directives"]:
                seen += 1
                self._deliver(decode_directive(body))

    def stop(self) -> None:
        """End `run` after its current call."""
        self._stopped.set()


class Reporter:
    """Sends what happens on the node, and what it prints, in order.

    A report that does not arrive is sent again until the lease ends: if the coordinator did not
    learn that a main has finished, it would wait for ever. It takes each number once.

    Args:
        client: Connection to the coordinator, used by this object alone.
        rank: Rank of the node.
        log: Its lines are sent too.
        lease: Says when the coordinator counts as gone.
    """

    def __init__(self, client: RpcClient, rank: int, log: NodeLog, lease: Lease) -> None:
        self._client = client
        self._rank = rank
        self._log = log
        self._lease = lease
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._last = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def send(self, kind: str, **fields: Any) -> None:
        """Queue one event."""
        self._events.put({"kind": kind, **fields})
        self._log.news.set()

    def finish(self, timeout: float) -> None:
        """Send what is queued, and the node's farewell."""
        self._last = True
        self._log.news.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        for number in itertools.count(1):
            self._log.news.wait()
            self._log.news.clear()
            last = self._last
            events = self._drain()
            if last:
                events.append({"kind": "gone"})
            self._deliver({"rank": self._rank, "number": number, "events": events})
            if last:
                return

    def _deliver(self, report: dict[str, Any]) -> None:
        while not self._lease.expired:
            try:
                self._client.call("report", report, timeout=_CALL_SECONDS)
                return
            except flight.FlightError as error:
                logger.warning("report %d did not arrive: %s", report["number"], error)
                time.sleep(_RETRY_SECONDS)

    def _drain(self) -> list[dict[str, Any]]:
        events = []
        # Lines first: what a node printed before it failed is in the log before the failure.
        if lines := self._log.take():
            events.append({"kind": "lines", "lines": lines})
        while not self._events.empty():
            events.append(self._events.get())
        return events
