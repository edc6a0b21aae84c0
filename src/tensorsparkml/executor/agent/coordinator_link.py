"""The agent's two conversations with the coordinator: reports to it, and directives from it.

The coordinator streams directives over one long call. A report says what has happened, what the
node has printed, and how many directives it has received; without news, it is a heartbeat.
"""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pyarrow.flight as flight

from tensorsparkml.control.liveness.driver_watch import DriverWatch, Reach
from tensorsparkml.control.liveness.heartbeat import News
from tensorsparkml.control.protocol.directives import DIRECTIVES, Directive
from tensorsparkml.control.protocol.events import EVENTS, Event, Gone, Lines, Progress
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.executor.agent.output_log import NodeLog

logger = logging.getLogger(__name__)

_CALL_SECONDS = 5.0
# Of one call that brings directives, so that one that has got stuck unnoticed is made anew.
_STREAM_SECONDS = 300.0
_END_SECONDS = 4.0  # for the end of a call that the coordinator has held as long as it may
_RETRY_SECONDS = 0.5
_CONNECT_SECONDS = 2.0


def try_port(location: str) -> Reach:
    """Return how an attempt to connect to a Flight location goes."""
    url = urlsplit(location)
    try:
        socket.create_connection((url.hostname, url.port), timeout=_CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return Reach.REFUSED
    except OSError:  # no route, no answer, no such name
        return Reach.UNREACHABLE
    return Reach.ACCEPTED


class DriverLink:
    """What the agent's threads know of the driver.

    Args:
        timeout: Heartbeat timeout in seconds.
        try_driver: Tries to connect to the driver's port.
    """

    def __init__(self, timeout: float, try_driver: Callable[[], Reach]) -> None:
        self._watch = DriverWatch(timeout)
        self._try_driver = try_driver
        self._lock = threading.Lock()

    def heard(self) -> None:
        """Record a reply of the driver."""
        with self._lock:
            self._watch.heard(time.monotonic())

    def failed(self) -> None:
        """Look whether the driver's port still accepts connections, because a call has failed."""
        reach = self._try_driver()
        with self._lock:
            self._watch.tried(reach, time.monotonic())

    def look(self) -> None:
        """Let time pass; to be called several times a second."""
        with self._lock:
            look = self._watch.look(time.monotonic())
        if look.news is News.SILENT:
            logger.warning("no reply from the driver for %.1f s", look.silence)
        elif look.news is News.HEARD:
            logger.warning("the driver is heard again, after %.1f s", look.silence)

    @property
    def gone(self) -> str | None:
        """Why the driver counts as gone, or None."""
        with self._lock:
            return self._watch.gone


class Mailbox:
    """Fetches directives and hands them on, in order, each once.

    Args:
        client: Connection to the coordinator.
        rank: Rank of the node.
        link: Told of every reply, and of every call that fails.
        deliver: Called with each directive.

    Attributes:
        received: How many directives have arrived.
    """

    def __init__(
        self,
        client: RpcClient,
        rank: int,
        link: DriverLink,
        deliver: Callable[[Directive], None],
    ) -> None:
        self._client = client
        self._rank = rank
        self._link = link
        self._deliver = deliver
        self.received = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        """Receive until stopped; meant for a thread of its own."""
        while not self._stopped.is_set():
            body = {"rank": self._rank, "received": self.received, "wait": _STREAM_SECONDS}
            timeout = _STREAM_SECONDS + _END_SECONDS
            try:
                for reply in self._client.stream("directives", body, timeout=timeout):
                    self._link.heard()
                    for encoded in reply["directives"]:
                        self.received += 1
                        self._deliver(DIRECTIVES.decode(encoded))
            except flight.FlightError as error:
                logger.warning("the coordinator sends no directives: %s", error)
                self._link.failed()
                self._stopped.wait(_RETRY_SECONDS)

    def stop(self) -> None:
        """Make no further call; the coordinator ends the current one when the node is gone."""
        self._stopped.set()


class Reporter:
    """Sends what happens on the node, and what it prints, in order, and heartbeats between.

    A report that does not arrive is sent again until the driver counts as gone: if the coordinator
    did not learn that a main has finished, it would wait forever. It takes each number once.

    Args:
        client: Connection to the coordinator.
        rank: Rank of the node.
        log: Its lines are sent too.
        link: Told of every reply, and says when the driver counts as gone.
        received: Returns how many directives have arrived.
        lines_seconds: How long lines that a program prints, and progress within a pass, wait for
            more of them.
        heartbeat_seconds: After how many seconds at most a report follows another one.
    """

    def __init__(
        self,
        client: RpcClient,
        rank: int,
        log: NodeLog,
        link: DriverLink,
        received: Callable[[], int],
        lines_seconds: float,
        heartbeat_seconds: float,
    ) -> None:
        self._client = client
        self._rank = rank
        self._log = log
        self._link = link
        self._received = received
        self._lines_seconds = lines_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._progress: dict[str, Progress] = {}  # by feed; only the last one matters
        self._passes: dict[str, tuple[int, bool]] = {}
        self._urgent = threading.Event()  # something else than lines and progress waits
        self._last = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def send(self, event: Event) -> None:
        """Queue one event, which is sent at once.

        Progress within a pass waits for more of it; the ends of passes and of a feed do not.
        """
        with self._lock:
            if isinstance(event, Progress) and not self._ends(event):
                self._progress[event.feed] = event
                urgent = False
            else:
                self._append(event)
                urgent = True
        if urgent:
            self._urgent.set()
        self._log.news.set()

    def _ends(self, event: Progress) -> bool:
        """Whether a pass, or the feed, has ended since the last progress of the feed."""
        now = event.progress.passes, event.progress.terminated
        before = self._passes.get(event.feed, (0, False))
        self._passes[event.feed] = now
        return now != before

    def _append(self, event: Event) -> None:
        """Queue an event behind the progress that was made before it."""
        if isinstance(event, Progress):
            self._progress.pop(event.feed, None)  # it is part of this
        self._events += [*self._progress.values(), event]
        self._progress.clear()

    def finish(self) -> None:
        """Send what is queued, and the node's farewell, unless the driver counts as gone."""
        self._last = True
        self._urgent.set()
        self._log.news.set()
        self._thread.join()

    def _run(self) -> None:
        for number in itertools.count(1):
            due = time.monotonic() + self._heartbeat_seconds
            if self._log.news.wait(self._heartbeat_seconds):
                left = max(0.0, due - time.monotonic())
                self._urgent.wait(min(self._lines_seconds, left))
            self._urgent.clear()
            self._log.news.clear()
            last = self._last
            events = self._drain()
            if last:
                events.append(Gone())
            self._deliver(number, events)
            if last:
                return

    def _deliver(self, number: int, events: list[Event]) -> None:
        encoded = [EVENTS.encode(event) for event in events]
        report = {
            "rank": self._rank,
            "number": number,
            "received": self._received(),
            "events": encoded,
        }
        while self._link.gone is None:
            try:
                self._client.call("report", report, timeout=_CALL_SECONDS)
                self._link.heard()
                return
            except flight.FlightError as error:
                logger.warning("report %d did not arrive: %s", number, error)
                self._link.failed()
                time.sleep(_RETRY_SECONDS)

    def _drain(self) -> list[Event]:
        # Lines first: what a node printed before it failed is in the log before the failure.
        lines = self._log.take()
        events: list[Event] = [Lines(tuple(lines))] if lines else []
        with self._lock:
            events += [*self._events, *self._progress.values()]
            self._events.clear()
            self._progress.clear()
        return events


def make_conversations(
    plan: ClusterPlan,
    rank: int,
    client: RpcClient,
    log: NodeLog,
    link: DriverLink,
    deliver: Callable[[Directive], None],
) -> tuple[Mailbox, Reporter]:
    """Return a node's two conversations with the coordinator, not begun yet.

    Args:
        plan: The cluster.
        rank: Rank of the node.
        client: Connection to the coordinator.
        log: The lines that the node prints.
        link: What the agent knows of the driver.
        deliver: Called with each directive.
    """
    mailbox = Mailbox(client, rank, link, deliver)
    reporter = Reporter(
        client,
        rank,
        log,
        link,
        lambda: mailbox.received,
        plan.lines_seconds,
        plan.heartbeat_seconds,
    )
    return mailbox, reporter
