"""The trainer's connection to its own agent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from tensorsparkml.control.protocol.events import (
    TRAINER_EVENTS,
    Dropped,
    Failed,
    Finished,
    JointCallBegan,
    JointCallEnded,
    PassRequested,
    Progress,
    ShareCounted,
    TrainerEvent,
)
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.data.inference.wire import BROKEN

# None: an agent that ends breaks its Unix socket, and one that is stopped may go on later.
_CALL_SECONDS = None
_BEAT_SECONDS = 5.0
_WINDOW_SECONDS = 2.0  # how long the agent holds a call that waits for rows


class AgentClient:
    """Calls the agent.

    Args:
        location: Flight location of the agent's Unix socket.
        credentials: Those of the node.
    """

    def __init__(self, location: str, credentials: Credentials) -> None:
        self._client = RpcClient(location, credentials)
        self._lock = threading.Lock()

    def report(self, event: TrainerEvent) -> None:
        """Tell the driver, by the agent, what has happened."""
        self._call("report", TRAINER_EVENTS.encode(event))

    def window(self, feed: str, segments: int, held_by_all: int) -> dict[str, Any]:
        """Wait for more of a feed; see `Spool.window`."""
        body = {
            "feed": feed,
            "segments": segments,
            "held_by_all": held_by_all,
            "wait_seconds": _WINDOW_SECONDS,
        }
        reply: dict[str, Any] = self._client.call("window", body, timeout=_CALL_SECONDS)
        return reply

    def progress(self, feed: str, progress: FeedProgress) -> None:
        """Tell how far the program has read a feed."""
        self.report(Progress(feed, progress))

    def begin_pass(
        self, feed: str, number: int, whole: bool, wanted: Callable[[], bool]
    ) -> str | None:
        """Wait until all nodes begin a pass, and return the delivery to read, or None for none.

        Args:
            feed: Name of the feed.
            number: Number of the pass.
            whole: Whether nothing of the current delivery was dropped.
            wanted: Whether to go on waiting; otherwise there is none.
        """
        self.report(PassRequested(feed, number, whole))
        body = {"feed": feed, "number": number, "wait_seconds": _WINDOW_SECONDS}
        while not (reply := self._client.call("begun", body, timeout=_CALL_SECONDS)):
            if not wanted():
                return None
        delivery: str | None = reply["delivery"]
        return delivery

    def dropped(self, delivery: str, rows: int) -> None:
        """Tell that rows which were read are gone from the spool."""
        self.report(Dropped(delivery, rows))

    def share(self, feed: str, rows: int) -> None:
        """Tell how many rows of a feed that files hold are this node's."""
        self.report(ShareCounted(feed, rows))

    def take(self, feed: str, held: list[int]) -> dict[str, Any]:
        """Wait for a partition that asks for inference; see `InferenceDesk.take`."""
        body = {"feed": feed, "held": held, "wait_seconds": _WINDOW_SECONDS}
        reply: dict[str, Any] = self._client.call("take", body, timeout=_CALL_SECONDS)
        return reply

    def exchange(self, number: int, results: pa.Schema) -> tuple[Any, Any]:
        """Open the call for a partition that was taken, and return its writer and its reader."""
        descriptor = flight.FlightDescriptor.for_path(str(number).encode())
        writer, reader = self._client.connection.do_exchange(descriptor, self._client.options())
        with suppress(*BROKEN):  # where its task has gone meanwhile; the reader tells
            writer.begin(results)
        return writer, reader

    def training_ended(self, wait_seconds: float) -> bool:
        """Wait for the end of training, and return whether it has ended."""
        deadline = time.monotonic() + wait_seconds
        while True:
            wait = min(_WINDOW_SECONDS, max(0.0, deadline - time.monotonic()))
            body = {"wait_seconds": wait}
            reply = self._client.call("training_ended", body, timeout=_CALL_SECONDS)
            if reply["ended"] or time.monotonic() >= deadline:
                return bool(reply["ended"])

    def joint_call(self, number: int, name: str) -> None:
        """Tell that main makes a call that the mains of all nodes must make, such as `fit`."""
        self.report(JointCallBegan(number, name))

    def joint_call_ended(self) -> None:
        """Tell that main is in no such call any more."""
        self.report(JointCallEnded())

    def beat(self) -> bool:
        """Tell that this process runs, and return whether the agent has answered."""
        try:
            self._client.call("beat", timeout=_BEAT_SECONDS)
        except flight.FlightError:
            return False
        return True

    def began(self) -> None:
        """Tell that main is about to begin."""
        self._call("began", {})

    def finished(self, result: str) -> None:
        """Hand over main's result, pickled and in Base64."""
        self.report(Finished(result))

    def failed(self, failure: Failure) -> None:
        """Hand over why main failed."""
        self.report(Failed(failure))

    def _call(self, name: str, body: dict[str, Any]) -> None:
        with self._lock:
            self._client.call(name, body, timeout=_CALL_SECONDS)
