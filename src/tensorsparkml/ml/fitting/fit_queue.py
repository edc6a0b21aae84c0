"""Fits of one Spark application begin in order, as task slots become free. No Spark."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tensorsparkml.control.text import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Fit:
    name: str
    slots: int


class FitQueue:
    """The fits that run, and those that wait, first come, first served."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Fit] = []
        self._running: list[_Fit] = []

    @contextmanager
    def turn(self, name: str, slots: int, total: int) -> Iterator[None]:
        """Wait until it is a fit's turn, which lasts as long as the block.

        Args:
            name: Names the fit in the log.
            slots: Task slots that its nodes need.
            total: Task slots of the application. A fit that needs more does not wait for them.
        """
        fit = _Fit(name, slots)
        with self._changed:
            self._waiting.append(fit)
            try:
                if not self._may_begin(fit, total):
                    self._log(fit, total)
                    self._changed.wait_for(lambda: self._may_begin(fit, total))
                self._running.append(fit)
            finally:
                self._waiting.remove(fit)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._running.remove(fit)
                self._changed.notify_all()

    def _may_begin(self, fit: _Fit, total: int) -> bool:
        taken = sum(each.slots for each in self._running)
        return self._waiting[0] is fit and (taken + fit.slots <= total or fit.slots > total)

    def _log(self, fit: _Fit, total: int) -> None:
        before = [each.name for each in self._running]
        before += [each.name for each in self._waiting[: self._waiting.index(fit)]]
        logger.info(
            "the fit of %s waits for %s of %d; before it: %s",
            fit.name,
            counted(fit.slots, "task slot"),
            total,
            ", ".join(before),
        )
