"""A thread that hands what nodes tell to the driver's loggers.

The handlers are the user's: one that raises, or that blocks, must not disturb what the driver and
the nodes have agreed on.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable


class LogRelay:
    """Calls functions that log, in order, in a thread of its own.

    An exception of a handler is shown like that of any thread, by `threading.excepthook`; the same
    again is not.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._shown: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="log relay", daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None]) -> None:
        """Let a function log."""
        self._calls.put(call)

    def close(self, timeout: float) -> None:
        """Wait until all is logged, but not for a handler that blocks.

        Args:
            timeout: Seconds to wait at most.
        """
        self._calls.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception:  # of a handler of the user's, which may raise anything
                kind, error, trace = sys.exc_info()
                if kind is not None and repr(error) not in self._shown:
                    self._shown.add(repr(error))
                    threading.excepthook(
                        threading.ExceptHookArgs((kind, error, trace, self._thread))
                    )
