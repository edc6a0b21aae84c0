"""The silence of another process. No clocks: the caller passes `now` in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PAUSE_SECONDS = 2.0  # between two looks, after which this process itself counts as paused


class News(Enum):
    """What has changed since the last look."""

    SILENT = "silent"  # for a third of the timeout
    HEARD = "heard"  # again, after that
    LOST = "lost"  # silent for longer than the timeout


@dataclass(frozen=True)
class Look:
    """The state of another process.

    Attributes:
        silence: Seconds of silence; with `News.HEARD`, of the silence that has ended.
        news: What has changed since the last look, or None.
    """

    silence: float
    news: News | None = None


class Heartbeat:
    """Measures the silence of another process.

    A process that is stopped, or whose host sleeps, hears nobody: silence is counted from the
    first look, and anew after each pause between two looks.

    Args:
        timeout: Heartbeat timeout in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._looked: float | None = None
        self._since = 0.0
        self._warned = self._lost = False
        self._ended: float | None = None

    def heard(self, now: float) -> None:
        """Record a sign of life."""
        if self._warned:
            self._ended = now - self._since
            self._warned = self._lost = False
        self._since = now

    def look(self, now: float) -> Look:
        """Return the silence; to be called several times a second."""
        if self._looked is None or now - self._looked > PAUSE_SECONDS:
            self._since = now
        self._looked = now
        silence = max(0.0, now - self._since)
        if self._ended is not None:
            ended, self._ended = self._ended, None
            return Look(ended, News.HEARD)
        if silence > self._timeout and not self._lost:
            self._warned = self._lost = True
            return Look(silence, News.LOST)
        if silence >= self._timeout / 3 and not self._warned:
            self._warned = True
            return Look(silence, News.SILENT)
        return Look(silence)
