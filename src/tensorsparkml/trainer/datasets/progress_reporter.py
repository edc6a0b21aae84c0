"""`ProgressReporter`: counts the rows that a program reads, and reports them to the agent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from tensorsparkml.control.protocol.feeds import FeedProgress

_REPORT_SECONDS = 1.0  # between two reports of rows, each of which costs a call


class ProgressReporter:
    """How far a program has read a feed. Any thread may call it.

    Complete passes and the end of the feed are reported at once, because the driver waits for them.
    Rows are reported at most once a second.

    Args:
        send: Gets the progress. Called by one thread at a time, and only when it has changed.
        now: Returns the time in seconds.
    """

    def __init__(
        self,
        send: Callable[[FeedProgress], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._now = now
        self._counting = threading.Lock()
        self._sending = threading.Lock()
        self._progress = self._sent = FeedProgress()
        self._sent_at = now()

    @property
    def progress(self) -> FeedProgress:
        """The current counts."""
        return self._progress

    def read(self, rows: int) -> None:
        """Count rows."""
        with self._counting:
            self._progress = replace(self._progress, rows=self._progress.rows + rows)
        if self._now() - self._sent_at >= _REPORT_SECONDS:
            self.report()

    def end_pass(self) -> None:
        """Count a pass."""
        with self._counting:
            self._progress = replace(self._progress, passes=self._progress.passes + 1)
        self.report()

    def terminate(self) -> None:
        """Record that the program needs no more rows."""
        with self._counting:
            self._progress = replace(self._progress, terminated=True)
        self.report()

    def report(self) -> None:
        """Report the counts, if they have changed."""
        with self._sending:
            progress = self._progress
            if progress != self._sent:
                self._send(progress)
                self._sent, self._sent_at = progress, self._now()
