"""The coordinator: the driver's control server, a thin shell around `ClusterState`.

All state is behind one lock. Calls of agents and feeders change it from Flight's threads, and a
ticker lets time pass. Who waits does so on a condition of its own kind: each node for its
directives, feeders for room, nodes for the values of all, and the user's threads for the state. So
an event wakes those that it is for, and its cost does not grow with the number of nodes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.conditions import AllFinished, Condition, holds
from tensorsparkml.control.coordinator.event_handling import apply_event
from tensorsparkml.control.coordinator.root_cause import root_cause
from tensorsparkml.control.coordinator.snapshot import ClusterSnapshot, take_snapshot
from tensorsparkml.control.feeds.feed_ledger import Addressed, FeedLedger
from tensorsparkml.control.protocol.codec import decode_fields
from tensorsparkml.control.protocol.directives import (
    DIRECTIVES,
    EndInference,
    LastFeeds,
    Stop,
)
from tensorsparkml.control.protocol.events import EVENTS, Gone, Lines, LogEvent, NodeWarning
from tensorsparkml.control.protocol.failures import Failure, to_error
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import Guard, may_call
from tensorsparkml.control.protocol.names import check_segment
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import Handler
from tensorsparkml.driver.lifecycle.addresses import listen
from tensorsparkml.driver.lifecycle.gatherings import Gatherings
from tensorsparkml.driver.lifecycle.mailboxes import Mailboxes
from tensorsparkml.driver.lifecycle.wakeups import Wakeups
from tensorsparkml.driver.monitoring.log_relay import LogRelay
from tensorsparkml.driver.monitoring.node_log import log_tensorboard, relay_event, relay_warning
from tensorsparkml.errors import LaunchError, TensorSparkMLError

logger = logging.getLogger(__name__)

_SETTLE_LIMIT_SECONDS = 5.0
_TICK_SECONDS = 0.25
_SHUTDOWN_SECONDS = 1.0
_LOG_SECONDS = 5.0  # for handlers of the user's to take the last lines
FOREVER = 10.0 * 365 * 86_400  # seconds


def _never() -> bool:
    return False


class Coordinator:
    """Serves one cluster.

    Args:
        state: The cluster's state machine.
        guard: Tells callers by their tokens, and has the certificate.
        host: Address under which executors reach the driver.
        bind_address: Address to listen on, or a name, of which one address is taken.

    Raises:
        LaunchError: It cannot listen there.
    """

    def __init__(self, state: ClusterState, guard: Guard, host: str, bind_address: str) -> None:
        self._state = state
        lock = threading.RLock()
        self._changed = threading.Condition(lock)  # for the user's threads
        self._room: Wakeups[str] = Wakeups(lock)  # for feeders that wait for it, by feed
        # For calls of nodes, by rank, and by key where they gather.
        self._news: Wakeups[int | str] = Wakeups(lock)
        self._mailboxes = Mailboxes(len(state.nodes), lock, self._news)
        self._reports = [0] * len(state.nodes)
        self._direct_tasks_left = 0
        self._closing = False
        self._gatherings = Gatherings(state.nodes, self._news, lambda: self._closing)
        self._relay = LogRelay()
        handlers: dict[str, Handler] = {
            "directives": self._on_directives,
            "report": self._on_report,
            "commit": self._on_commit,
            "fed": self._on_fed,
            "gather": self._on_gather,
            "admit": self._on_admit,
            "place": self._on_place,
        }
        try:
            self._server, self.location = listen(host, bind_address, guard, handlers, may_call)
        except LaunchError:
            self._relay.close(_LOG_SECONDS)
            raise
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="coordinator ticker", daemon=True)
        self._ticker.start()

    # For the user's thread

    def wait_for(
        self,
        condition: Condition | None,
        timeout: float = FOREVER,
        until: Callable[[], bool] = _never,
    ) -> bool:
        """Wait until a condition holds, and return whether it does, or `until` says so.

        Args:
            condition: On the cluster's state; None to wait for `until` alone.
            timeout: Seconds.
            until: Whether to wait no longer, for a reason of the driver's own; see `wake`.
        """
        return self._wait(lambda: until() or holds(condition, self._state), timeout)

    def require(
        self,
        condition: Condition | None,
        timeout: float = FOREVER,
        until: Callable[[], bool] = _never,
    ) -> bool:
        """Wait until a condition holds, and return whether it does, or `until` says so.

        Args:
            condition: See `wait_for`.
            timeout: Seconds.
            until: See `wait_for`.

        Raises:
            TensorSparkMLError: Something failed first. Other nodes had a moment to report what
                they suffered from it.
        """
        state = self._state
        reached = self._wait(lambda: self.failed or until() or holds(condition, state), timeout)
        if self.failed:
            self._wait(lambda: state.settled(time.monotonic()), _SETTLE_LIMIT_SECONDS)
            with self._changed:
                root, others = root_cause(state.failures)
            raise to_error(root, others)
        return reached

    def wake(self) -> None:
        """Let threads that wait look at once, because what `until` tells has changed."""
        with self._changed:
            self._changed.notify_all()

    @property
    def failed(self) -> bool:
        """Whether something has failed."""
        with self._changed:
            return bool(self._state.failures)

    def snapshot(self) -> ClusterSnapshot:
        """Return what is known of all nodes and feeds."""
        with self._changed:
            return take_snapshot(self._state)

    def readers(self) -> list[Peer]:
        """Return where the nodes are that share the feeds, by rank."""
        with self._changed:
            return self._state.readers

    def has_feed(self, name: str) -> bool:
        """Whether a feed of that name was opened."""
        with self._changed:
            return name in self._state.feeds

    def feed_unwanted(self, name: str) -> bool:
        """Whether no node needs another row of a feed."""
        with self._changed:
            return self._state.feed_unwanted(name)

    def open_feed(self, ledger: FeedLedger, direct_tasks: int = 0) -> None:
        """Take rows for a feed.

        Args:
            ledger: The feed.
            direct_tasks: How many launch tasks deliver it; the last one closes it.
        """
        with self._changed:
            self._direct_tasks_left = direct_tasks
            self._state.open_feed(ledger)
            self._send(ledger.open())

    def read_files(self, ledger: FeedLedger, uris: tuple[str, ...]) -> None:
        """Let the nodes read the rows of a feed from files."""
        with self._changed:
            self._state.open_feed(ledger)
            self._send(ledger.read_files(uris))

    def commit(self, commit: Commit) -> None:
        """Count rows that a feeder has written."""
        with self._changed:
            ledger = self._state.feeds[commit.feed]
            self._send(ledger.commit(commit))
            if ledger.overflows:
                message = (
                    f"the rows of feed {ledger.name!r} are more than a node may keep, and with "
                    "seed=… all must be there before the first is read; raise spool_bytes, or "
                    "leave out the seed"
                )
                self.fail(Failure("ConfigurationError", message))

    def end_part(self, feed: str, part: str) -> None:
        """Accept no more rows of one Spark job among those of a feed."""
        with self._changed:
            self._state.feeds[feed].end_part(part)

    def close_feed(self, name: str) -> None:
        """Take no more rows for a feed and let the nodes read it to its end."""
        with self._changed:
            self._send(self._state.close_feed(name))

    def fail(self, failure: Failure) -> None:
        """Record a failure that the driver itself found."""
        with self._changed:
            self._send(self._state.failed(failure, time.monotonic()))

    def failure(self, timeout: float) -> TensorSparkMLError | None:
        """Wait for a failure and return its error, or None when there is none.

        Args:
            timeout: Seconds to wait while any main still runs.
        """
        try:
            self.require(AllFinished(), timeout)
        except TensorSparkMLError as error:
            return error
        return None

    def tensorboard_at(self, url: str | None) -> None:
        """Record and log where TensorBoard serves, or that it has ended."""
        with self._changed:
            self._state.tensorboard_at(url)
            self._changed.notify_all()
        if url is not None:
            self._relay.put(partial(log_tensorboard, url))

    def end_feeds(self, names: Sequence[str] = ()) -> None:
        """Tell the nodes that no feed will come but those that are open, and these."""
        with self._changed:
            last = LastFeeds(tuple(dict.fromkeys([*self._state.feeds, *names])))
            self._mailboxes.put_all(last)

    def end_inference(self) -> None:
        """Let the programs' loops over batches for inference end."""
        with self._changed:
            self._mailboxes.put_all(EndInference())

    def stop(self, reason: str) -> None:
        """Ask all nodes to end, without a failure."""
        with self._changed:
            self._mailboxes.put_all(Stop(reason))

    def results(self) -> list[bytes | None]:
        """Return what the mains returned, pickled, by rank."""
        with self._changed:
            return [node.result for node in self._state.nodes]

    def close(self) -> None:
        """End the server, the ticker and, when all is logged, the relay of what nodes tell."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._room.wake_all()
            self._news.wake_all()
        self._ended.set()
        self._ticker.join()
        # gRPC gives clients that do not respond, such as agents that hang, twenty seconds.
        shutdown = threading.Thread(target=self._server.shutdown, name="shutdown", daemon=True)
        shutdown.start()
        shutdown.join(_SHUTDOWN_SECONDS)
        self._relay.close(_LOG_SECONDS)

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            with self._changed:
                tick = self._state.tick(time.monotonic())
                if tick.addressed or tick.settled:  # else nobody who waits is woken
                    self._send(tick.addressed)
            for node, message in tick.warnings:
                self._relay.put(partial(relay_warning, node or "driver", message))

    def _wait(self, ready: Callable[[], bool], timeout: float) -> bool:
        """Wait until something is so, which is looked at after every change."""
        with self._changed:
            return self._changed.wait_for(ready, timeout)

    # Calls of agents and feeders

    def _on_directives(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a node's directives as they come, until it is gone or `wait` seconds are over."""
        rank, received = body["rank"], body["received"]
        node = self._state.nodes[rank]
        with self._changed:
            self._state.heard(rank, time.monotonic())
            self._mailboxes.acknowledge(rank, received)
        for directives in self._mailboxes.follow(
            rank, received, body["wait"], lambda: node.gone or self._closing
        ):
            yield {"directives": [DIRECTIVES.encode(directive) for directive in directives]}

    def _on_report(self, body: dict[str, Any]) -> None:
        rank, number = body["rank"], body.get("number")
        name, events = self._state.nodes[rank].name, body["events"]
        with self._changed:
            if number is not None:  # agents repeat a report whose answer was lost or is late
                if number <= self._reports[rank]:
                    return
                self._reports[rank] = number
                self._mailboxes.acknowledge(rank, body["received"])
            self._state.heard(rank, time.monotonic())
            for event in events:
                self._take(rank, name, event)

    def _take(self, rank: int, name: str, body: dict[str, Any]) -> None:
        try:
            event = EVENTS.decode(body)
            if isinstance(event, LogEvent):
                self._relay.put(partial(relay_event, name, event))
            if not isinstance(event, Lines | NodeWarning):
                self._send(apply_event(self._state, rank, event, time.monotonic()))
            if isinstance(event, Gone):
                self._news.wake([rank])  # it waits for directives no more
        except Exception as error:
            # The report does not come again: whoever waits for the event would wait forever.
            message = f"the driver cannot apply {body.get('kind')!r} of {name}: {error!r}"
            self.fail(Failure("NodeError", message, name))
            self._relay.put(partial(logger.error, "%s", message, exc_info=error))

    def _on_commit(self, body: dict[str, Any]) -> None:
        check_segment(body["segment"])
        self.commit(decode_fields(Commit, body))

    def _on_fed(self, body: dict[str, Any]) -> None:
        with self._changed:
            self._direct_tasks_left -= 1
            if self._direct_tasks_left == 0:
                self._send(self._state.close_feed(body["feed"]))

    def _on_admit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Wait a little for room, and return whether the feeder is admitted, or unwanted."""
        feed = body["feed"]
        with self._changed:
            self._room.wait_for(feed, lambda: self._admits(feed) or self._closing, body["wait"])
            return {
                "admitted": self._state.feeds[feed].admits,
                "unwanted": self._feeds_in_vain(feed),
            }

    def _admits(self, feed: str) -> bool:
        """Whether a feeder need not wait for room, if only because nobody needs its rows."""
        return self._state.feeds[feed].admits or self._feeds_in_vain(feed)

    def _feeds_in_vain(self, feed: str) -> bool:
        return bool(self._state.failures) or self._state.feed_unwanted(feed)

    def _on_place(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            ledger = self._state.feeds[body["feed"]]
            ranks = ledger.place(body["key"], body["first"], body["near"], body["bytes"])
            return {"ranks": list(ranks)}

    def _on_gather(self, body: dict[str, Any]) -> dict[str, Any] | bytes:
        with self._changed:
            return self._gatherings.gather(
                body["key"], body["nodes"], body["rank"], body["value"], body["wait"]
            )

    def _send(self, addressed: Addressed) -> None:
        self._mailboxes.put(addressed)
        self._changed.notify_all()
        self._room.wake([feed for feed in self._room.waited_for if self._admits(feed)])
