"""Watches whether a trainer responds, in case other nodes fail because it does not."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psutil

from tensorsparkml.control.liveness.heartbeat import Heartbeat, News
from tensorsparkml.control.protocol.events import NodeWarning, TrainerHeard, TrainerSilent

# A third of this is the silence from which on a trainer is named. It never ends a trainer: native
# code may hold Python's lock for as long as it likes.
_TIMEOUT_SECONDS = 30.0
_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


class TrainerHeartbeat:
    """Knows how long a trainer has been silent."""

    def __init__(self) -> None:
        self._heartbeat = Heartbeat(_TIMEOUT_SECONDS)
        self._lock = threading.Lock()
        self._began = False

    def heard(self) -> None:
        """Record a sign of life."""
        with self._lock:
            self._began = True
            self._heartbeat.heard(time.monotonic())

    def look(
        self, process_id: int, *, at_stop: bool = False
    ) -> list[TrainerSilent | TrainerHeard | NodeWarning]:
        """Return the events to report.

        Args:
            process_id: The trainer's.
            at_stop: Whether the node is told to end, perhaps because others have failed. They
                may have waited for a trainer that is stopped, however short its silence.
        """
        with self._lock:
            if not self._began:  # it still imports what it needs
                return []
            look = self._heartbeat.look(time.monotonic())
        if look.news is News.HEARD:
            message = f"the TensorFlow process responds again, after {look.silence:.0f} s"
            return [TrainerHeard(), NodeWarning(message)]
        if look.news is not News.SILENT and not at_stop:
            return []
        state = _state(process_id)
        if look.news is not News.SILENT and state not in _STOPPED:
            return []
        message = (
            f"the TensorFlow process has not responded for {look.silence:.0f} s (state: {state})"
        )
        return [TrainerSilent(look.silence, state), NodeWarning(message)]


def _state(process_id: int) -> str:
    state = "unknown"
    with suppress(psutil.NoSuchProcess):
        state = psutil.Process(process_id).status()
    return state
