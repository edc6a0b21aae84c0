"""Shows the progress of feeds: as bars in terminals and notebooks, as log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from tensorsparkml.control.coordinator.snapshot import ClusterSnapshot
from tensorsparkml.control.protocol.events import EpochEnded
from tensorsparkml.driver.monitoring.progress import FeedStatus, Meters

progress_logger = logging.getLogger("tensorsparkml.progress")

_LOOK_SECONDS = 0.5  # between two looks, each of which moves the bars
_LINE_SECONDS = 10.0  # between two lines about a feed
_END_SECONDS = 2.0  # for the last look


class Display(Protocol):
    """Shows the progress of feeds."""

    def show(self, now: float, feeds: Sequence[FeedStatus], snapshot: ClusterSnapshot) -> None:
        """Show the current state."""

    def close(self, feeds: Sequence[FeedStatus]) -> None:
        """Show the last state and end."""


class Lines:
    """Logs a line about each feed that has changed, every few seconds and at the end."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[float, FeedStatus]] = {}

    def show(self, now: float, feeds: Sequence[FeedStatus], snapshot: ClusterSnapshot) -> None:
        """Log a line about each feed if its last line is old enough."""
        for status in feeds:
            since, last = self._logged.setdefault(status.counts.name, (now, status))
            if now - since >= _LINE_SECONDS and status.counts != last.counts:
                self._log(now, status)

    def close(self, feeds: Sequence[FeedStatus]) -> None:
        """Log the end of every feed."""
        for status in feeds:
            self._log(0.0, status)

    def _log(self, now: float, status: FeedStatus) -> None:
        self._logged[status.counts.name] = now, status
        progress_logger.info("%s", status.line())


class Bars:
    """A bar for each feed, on standard error or in the notebook."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # A notebook without ipywidgets gets bars of text.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
        self._make: Callable[..., Any] = tqdm
        self._bars: dict[str, Any] = {}

    def show(self, now: float, feeds: Sequence[FeedStatus], snapshot: ClusterSnapshot) -> None:
        """Move the bars."""
        epoch = f", {_describe(snapshot.epoch)}" if snapshot.epoch else ""
        for status in feeds:
            bar = self._bar(status.counts.name)
            number = status.reading_pass
            bar.set_description_str(
                status.counts.name + (f", pass {number}" if number > 1 else ""), refresh=False
            )
            bar.n = 100 * status.fraction
            bar.set_postfix_str(status.brief() + epoch, refresh=False)
            bar.refresh()

    def close(self, feeds: Sequence[FeedStatus]) -> None:
        """Leave the bars as they are."""
        for bar in self._bars.values():
            bar.close()

    def _bar(self, name: str) -> Any:
        if name not in self._bars:
            # In percent, because a bar's total cannot grow in a notebook.
            self._bars[name] = self._make(
                total=100,
                desc=name,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| [{elapsed}{postfix}]",
                dynamic_ncols=True,
                leave=True,
            )
        return self._bars[name]


def _describe(epoch: EpochEnded) -> str:
    of = f"/{epoch.epochs}" if epoch.epochs else ""
    metrics = "".join(f" {name} {value:.4g}" for name, value in epoch.logs.items())
    return f"epoch {epoch.epoch}{of}:{metrics}"


def choose_display() -> Display:
    """Return bars if standard error is a terminal or this is a notebook, or else lines."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return Bars() if terminal or "ipykernel.zmqshell" in sys.modules else Lines()


class ProgressMonitor:
    """Shows the progress of feeds from a thread, at regular intervals.

    Args:
        look: Returns the coordinator's snapshot.
        display: Shows the progress.
    """

    def __init__(self, look: Callable[[], ClusterSnapshot], display: Display) -> None:
        self._look = look
        self._display = display
        self._meters = Meters()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Show the last state and end."""
        self._stopped.set()
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            last = False
            while not last:
                last = self._stopped.wait(_LOOK_SECONDS)
                now, snapshot = time.monotonic(), self._look()
                feeds = self._meters.update(now, snapshot)
                self._display.show(now, feeds, snapshot)
            self._display.close(feeds)
        except (OSError, ValueError) as error:
            # The terminal is gone, or standard error is closed.
            progress_logger.debug("progress is no longer shown: %s", error)


@contextmanager
def beside_bars() -> Iterator[None]:
    """Clear the bars while a line is written, so that it does not appear after a bar."""
    if "tqdm" not in sys.modules:
        yield
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        yield
