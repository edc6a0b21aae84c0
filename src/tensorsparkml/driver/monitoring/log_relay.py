"""A thread that passes messages of the nodes to the driver's loggers.

Users install the handlers. A handler that raises or blocks must not disturb the driver's control
of the nodes.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable


class LogRelay:
    """Calls functions that log, in order, in a separate thread.

    An exception of a handler is shown by `threading.excepthook`, but only once for each message.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._shown: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="log relay", daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None]) -> None:
        """Queue a function that logs."""
        self._calls.put(call)

    def close(self, timeout: float) -> None:
        """Wait until everything is logged, but not forever for a handler that blocks.

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
