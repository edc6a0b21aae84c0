"""What the coordinator counts becomes numbers, lines and bars."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.example_commits import commit_of

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.coordinator.snapshot import ClusterSnapshot, FeedCounts, take_snapshot
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.events import EpochEnded
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.driver.monitoring import progress_display
from tensorsparkml.driver.monitoring.progress import FeedStatus, Meters, Rate
from tensorsparkml.driver.monitoring.progress_display import (
    Bars,
    Lines,
    ProgressMonitor,
    beside_bars,
)
from tensorsparkml.roles import make_roles

EPOCH = EpochEnded(epoch=2, epochs=8, logs={"loss": 0.123456}, seconds=1.0, rows=100)


def test_a_snapshot_has_every_feed_and_node() -> None:
    state = ClusterState(make_roles(2), lease_seconds=6.0)
    assert take_snapshot(state).spool_bytes == (0, 0)
    for name in ("validation", "train"):
        state.open_feed(FeedLedger(name, 2))
    for name in ("validation", "train"):
        state.feeds[name].commit(commit_of(name, "0", "0-0", (5, 4), (500, 400)))
    state.consumed(1, "train", FeedProgress(rows=3))
    state.epoch_ended(EPOCH)
    found = take_snapshot(state)
    assert found.feeds == (
        FeedCounts("validation", (5, 4), (0, 0)),
        FeedCounts("train", (5, 4), (0, 3)),
    )
    assert found.spool_bytes == (1000, 800)
    assert found.epoch == EPOCH


def test_a_rate_is_that_of_the_window() -> None:
    rate = Rate(window_seconds=10.0)
    assert rate.update(100.0, 50) == 0.0
    assert rate.update(101.0, 150) == 100.0
    assert rate.update(105.0, 550) == 100.0
    # What was before the window does not count.
    assert rate.update(110.0, 550) == 50.0
    assert rate.update(115.0, 550) == 0.0
    assert rate.update(116.0, 550) == 0.0


@given(st.lists(st.tuples(st.floats(0.01, 30), st.integers(0, 1000)), min_size=2))
def test_a_rate_lies_between_the_slowest_and_the_fastest_step(
    steps: list[tuple[float, int]],
) -> None:
    rate, now, count = Rate(), 0.0, 0
    rate.update(now, count)
    for seconds, rows in steps:
        now, count = now + seconds, count + rows
        found = rate.update(now, count)
    speeds = [rows / seconds for seconds, rows in steps]
    assert min(speeds) * 0.999 <= found <= max(speeds) * 1.001


def status(fed: tuple[int, ...], read: tuple[int, ...], sizes: tuple[int, ...]) -> FeedStatus:
    return FeedStatus(FeedCounts("train", fed, read), 1500.4, 1200.0, sizes)


@pytest.mark.parametrize(
    ("fed", "read", "pass_", "fraction"),
    [
        ((0, 0), (0, 0), 1, 0.0),
        ((50, 50), (0, 0), 1, 0.0),
        ((50, 50), (10, 15), 1, 0.25),
        ((50, 50), (50, 50), 1, 1.0),
        ((50, 50), (60, 65), 2, 0.25),
        ((50, 50), (150, 150), 3, 1.0),
    ],
)
def test_passes(fed: Any, read: Any, pass_: int, fraction: float) -> None:
    found = status(fed, read, (0, 0))
    assert (found.reading_pass, found.fraction) == (pass_, fraction)


def test_words() -> None:
    found = status((6000, 6001), (4250, 4251), (12_340_000, 999))
    assert found.line() == (
        "feed train: 12,001 rows fed (6,000 + 6,001) at 1,500/s, "
        "8,501 read (4,250 + 4,251) at 1,200/s, spool 12.3 MB (12.3 MB + 999 bytes)"
    )
    assert found.brief() == "8,501 rows read at 1,200/s, 12,001 fed at 1,500/s, spool 12.3 MB"
    single = status((5,), (4,), (7_000_000_000,))
    assert single.line().endswith("4 read at 1,200/s, spool 7.0 GB")
    many = status((1,) * 9, (1,) * 9, (1500,) * 9)
    assert many.line() == "feed train: 9 rows fed at 1,500/s, 9 read at 1,200/s, spool 13.5 kB"


def test_meters_keep_feeds_apart() -> None:
    meters = Meters()
    for now, rows in ((0.0, 0), (2.0, 100)):
        feeds = (FeedCounts("a", (rows,), (0,)), FeedCounts("b", (0,), (2 * rows,)))
        found = meters.update(now, ClusterSnapshot(feeds=feeds, spool_bytes=(8,)))
    assert [(one.fed_per_second, one.read_per_second) for one in found] == [(50, 0), (0, 100)]
    assert [one.spool_bytes for one in found] == [(8,), (8,)]


NOTHING = ClusterSnapshot()


def test_lines_come_now_and_then_where_there_is_news(caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines()
    with caplog.at_level(logging.INFO, logger="tensorsparkml.progress"):
        for now, rows in ((0, 0), (4, 10), (9, 20), (10, 30), (12, 40), (21, 50), (40, 50)):
            last = [status((rows,), (0,), (0,))]
            lines.show(100.0 + now, last, NOTHING)
        lines.close(last)
    assert [record.getMessage().split(" fed")[0] for record in caplog.records] == [
        "feed train: 30 rows",
        "feed train: 50 rows",
        "feed train: 50 rows",
    ]


class Terminal:
    """What is written to standard error."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_bars_show_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bars = Bars()
    feeds = [status((50, 50), (60, 65), (9, 9))]
    bars.show(0.0, feeds, ClusterSnapshot(epoch=EPOCH))
    bars.close(feeds)
    last = terminal.text.strip().split("\r")[-1]
    assert last.startswith("train, pass 2:  25%|")
    assert "125 rows read at 1,200/s, 100 fed at 1,500/s, spool 18 bytes" in last
    assert last.endswith("epoch 2/8: loss 0.1235]")


def test_lines_are_written_beside_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bars = Bars()
    bars.show(0.0, [status((50,), (5,), (9,))], NOTHING)
    terminal.text = ""
    with beside_bars():
        terminal.write("from a node\n")
    bars.close([])
    before, _, after = terminal.text.partition("from a node\n")
    assert before.strip() == ""
    assert before.endswith("\r")
    assert "train:  10%|" in after


@pytest.mark.parametrize(
    ("terminal_there", "notebook", "expected"),
    [(True, False, Bars), (False, True, Bars), (False, False, Lines)],
)
def test_the_display_is_what_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, terminal_there: bool, notebook: bool, expected: type
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal_there else None)
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", sys)
    assert isinstance(progress_display.choose_display(), expected)


class Watched:
    """A display that notes what it shows."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[int] = []
        self.shown = threading.Event()
        self.last: int | None = None

    def show(self, now: float, feeds: Any, snapshot: ClusterSnapshot) -> None:
        if self.error is not None:
            raise self.error
        self.seen.append(sum(feeds[0].counts.fed))
        self.shown.set()

    def close(self, feeds: Any) -> None:
        self.last = sum(feeds[0].counts.fed)


def test_the_monitor_shows_changes_and_the_end() -> None:
    fed = 1
    display = Watched()
    monitor = ProgressMonitor(
        lambda: ClusterSnapshot(feeds=(FeedCounts("train", (fed,), (0,)),), spool_bytes=(0,)),
        display,
    )
    assert display.shown.wait(60)
    fed = 7
    monitor.stop()
    assert display.seen[0] == 1
    assert display.last == display.seen[-1] == 7


def test_a_terminal_that_is_gone_ends_only_the_display() -> None:
    snapshot = ClusterSnapshot(feeds=(FeedCounts("train", (1,), (0,)),), spool_bytes=(0,))
    monitor = ProgressMonitor(lambda: snapshot, Watched(BrokenPipeError()))
    monitor.stop()
    assert not monitor._thread.is_alive()
