"""When progress is told, and that nothing of it is lost between threads."""

from __future__ import annotations

import threading

from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rows_are_told_once_a_second_and_passes_at_once() -> None:
    clock, told = Clock(), list[FeedProgress]()
    reporter = ProgressReporter(told.append, clock)
    for clock.now in (0.5, 0.9, 1.0, 1.5, 1.9, 2.1):
        reporter.read(10_000)
    assert told == [FeedProgress(rows=30_000), FeedProgress(rows=60_000)]
    reporter.read(1)
    reporter.end_pass()
    assert told[2:] == [FeedProgress(1, 60_001)]


def test_what_was_told_is_not_told_again() -> None:
    told: list[FeedProgress] = []
    reporter = ProgressReporter(told.append, Clock())
    reporter.report()
    reporter.read(1)
    reporter.report()
    reporter.report()
    assert told == [FeedProgress(rows=1)]


def test_the_end_is_not_undone_by_a_read_at_the_same_time() -> None:
    """Reads go on in another thread while the program ends the feed."""
    told, begun = list[FeedProgress](), threading.Event()

    def send(progress: FeedProgress) -> None:
        told.append(progress)
        if progress.rows == 1:
            begun.set()
            ending.join(0.2)  # must wait until this report is through

    reporter = ProgressReporter(send, Clock())
    ending = threading.Thread(target=lambda: begun.wait(60) and reporter.terminate())
    ending.start()
    reporter.read(1)
    reporter.report()
    reporter.read(1)
    ending.join(60)
    reporter.report()
    assert told[-1] == reporter.progress == FeedProgress(0, 2, True)
    assert told == sorted(told, key=lambda progress: (progress.rows, progress.terminated))


def test_counts_of_many_threads_add_up() -> None:
    reporter = ProgressReporter()
    threads = [
        threading.Thread(target=lambda: [reporter.read(1) for _ in range(5_000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    reporter.terminate()
    for thread in threads:
        thread.join()
    assert reporter.progress == FeedProgress(0, 20_000, True)
