"""Wakes waiting threads a few at a time, each for its own news.

A thousand threads that wake at once compete for Python's global lock, and each loser tries again
every few milliseconds, so the cost grows with the square of their number. So only a few are awake
at a time, and each of them wakes the next one. A thread then finds everything that has happened
before its turn.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

_AT_ONCE = 4
Key = TypeVar("Key", bound=Hashable)


class _Waiter:
    def __init__(self, lock: threading.RLock) -> None:
        self.woken = threading.Condition(lock)
        self.due = False  # it is to be woken
        self.awake = False  # it was, and has not looked yet


class Wakeups(Generic[Key]):
    """Lets threads wait under a lock, each for its own keys.

    All methods must be called with the lock held.

    Args:
        lock: The lock, which a waiting thread releases while it waits.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._waiting: dict[Key, list[_Waiter]] = {}
        self._due: deque[_Waiter] = deque()
        self._awake = 0

    @property
    def waited_for(self) -> list[Key]:
        """The keys for which threads wait."""
        return list(self._waiting)

    def wait_for(self, key: Key, condition: Callable[[], bool], timeout: float) -> None:
        """Wait until a condition holds. It is checked when the key is woken.

        Args:
            key: What the thread waits for; several threads may wait for the same key.
            condition: Returns whether the wait is over.
            timeout: Seconds to wait at most.
        """
        if condition():
            return
        deadline = time.monotonic() + timeout
        waiter = _Waiter(self._lock)
        self._waiting.setdefault(key, []).append(waiter)
        try:
            while not condition() and (seconds := deadline - time.monotonic()) > 0.0:
                waiter.woken.wait(seconds)
                if waiter.awake:
                    waiter.awake = False
                    self._awake -= 1
                    self._wake()
        finally:
            waiter.due = False
            waiting = self._waiting[key]
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[key]

    def wake(self, keys: Iterable[Key]) -> None:
        """Wake the threads that wait for any of the keys."""
        for key in keys:
            for waiter in self._waiting.get(key, ()):
                # One that is awake has not looked yet, and will see this change too.
                if not (waiter.due or waiter.awake):
                    waiter.due = True
                    self._due.append(waiter)
        self._wake()

    def wake_all(self) -> None:
        """Wake all waiting threads."""
        self.wake(list(self._waiting))

    def _wake(self) -> None:
        while self._due and self._awake < _AT_ONCE:
            waiter = self._due.popleft()
            if waiter.due:  # else its time was over before its turn came
                waiter.due, waiter.awake = False, True
                self._awake += 1
                waiter.woken.notify()
