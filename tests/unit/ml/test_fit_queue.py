"""Fits begin in order, as slots become free."""

import logging
import threading
import time

import pytest

from tensorsparkml.ml.fitting.fit_queue import FitQueue


class Fits:
    """Fits in threads of their own, which run until they are told to end."""

    def __init__(self, total=4):
        self.queue, self.total = FitQueue(), total
        self.began, self._ends, self._threads = [], {}, []
        self._changed = threading.Condition()

    def start(self, name, slots):
        """Start a fit, and wait until it runs or is in the queue."""
        self._ends[name] = threading.Event()
        before = self._known()
        thread = threading.Thread(target=self._run, args=(name, slots), daemon=True)
        self._threads.append(thread)
        thread.start()
        deadline = time.monotonic() + 60
        while self._known() == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _known(self):
        with self.queue._changed:
            return len(self.queue._waiting) + len(self.queue._running)

    def _run(self, name, slots):
        with self.queue.turn(name, slots, self.total):
            with self._changed:
                self.began.append(name)
                self._changed.notify_all()
            self._ends[name].wait()

    def end(self, name):
        self._ends[name].set()

    def wait_for(self, *names):
        with self._changed:
            assert self._changed.wait_for(lambda: set(names) <= set(self.began), 30), self.began

    def finish(self):
        for each in self._ends.values():
            each.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def fits():
    found = Fits()
    yield found
    found.finish()
    assert not found.queue._waiting and not found.queue._running


def test_fits_run_side_by_side_where_slots_allow(fits):
    fits.start("a", 2)
    fits.start("b", 2)
    fits.wait_for("a", "b")


def test_a_small_fit_does_not_overtake_a_large_one(fits, caplog):
    caplog.set_level(logging.INFO, "tensorsparkml.ml.fitting.fit_queue")
    fits.start("a", 3)
    fits.wait_for("a")
    fits.start("large", 4)
    fits.start("small", 1)
    assert fits.began == ["a"]
    assert [record.getMessage() for record in caplog.records] == [
        "the fit of large waits for 4 task slots of 4; before it: a",
        "the fit of small waits for 1 task slot of 4; before it: a, large",
    ]
    fits.end("a")
    fits.wait_for("large")
    assert fits.began == ["a", "large"]
    fits.end("large")
    fits.wait_for("small")


def test_a_fit_that_is_too_large_gets_its_turn_to_be_refused(fits):
    fits.start("a", 4)
    fits.start("b", 5)
    fits.wait_for("a", "b")


def test_a_fit_that_fails_or_is_interrupted_leaves_the_queue(fits):
    with pytest.raises(KeyboardInterrupt), fits.queue.turn("a", 4, 4):
        raise KeyboardInterrupt
    fits.start("b", 4)
    fits.wait_for("b")
