"""Threads that wait for news of their own."""

from __future__ import annotations

import threading
from collections import Counter

from tensorsparkml.driver.lifecycle.wakeups import Wakeups

SECONDS = 60.0  # which only a hang needs


class Waiting:
    """Threads that wait, each for a key, until that is done."""

    def __init__(self, keys: list[str]) -> None:
        self.lock = threading.RLock()
        self.wakeups: Wakeups[str] = Wakeups(self.lock)
        self.looks: Counter[str] = Counter()
        self.done: set[str] = set()
        self._waits = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self._run, args=(key,)) for key in keys]
        for thread in self.threads:
            thread.start()
            assert self._waits.acquire(timeout=SECONDS)

    def finish(self, *keys: str) -> None:
        with self.lock:
            self.done.update(keys)
            self.wakeups.wake(keys)

    def _run(self, key: str) -> None:
        def condition() -> bool:
            self.looks[key] += 1
            if self.looks[key] == 2:  # it looks again before it waits
                self._waits.release()
            return key in self.done

        with self.lock:
            self.wakeups.wait_for(key, condition, SECONDS)


def test_only_threads_that_wait_for_the_key_look() -> None:
    waiting = Waiting(["a", "b"])
    waiting.finish("a")
    waiting.threads[0].join(SECONDS)
    assert not waiting.threads[0].is_alive()
    assert waiting.looks["b"] == 2
    waiting.finish("b")
    waiting.threads[1].join(SECONDS)
    assert waiting.looks == {"a": 3, "b": 3}


def test_each_thread_of_many_looks_once() -> None:
    keys = [f"{number}" for number in range(200)]
    waiting = Waiting(keys)
    waiting.finish(*keys)
    for thread in waiting.threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert set(waiting.looks.values()) == {3}


def test_several_threads_may_wait_for_one_key() -> None:
    lock = threading.RLock()
    wakeups, done, waits = Wakeups(lock), threading.Event(), threading.Semaphore(0)

    def run() -> None:
        with lock:
            waits.release()
            wakeups.wait_for("key", done.is_set, SECONDS)

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
        assert waits.acquire(timeout=SECONDS)
    with lock:
        done.set()
        wakeups.wake(["key"])
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_thread_gives_up_and_is_forgotten() -> None:
    lock = threading.RLock()
    wakeups: Wakeups[str] = Wakeups(lock)
    with lock:
        wakeups.wait_for("key", lambda: False, 0.01)
        wakeups.wake(["key"])
        assert not wakeups._waiting and not wakeups._due


def test_a_thread_that_gives_up_before_its_turn_keeps_nobody_waiting() -> None:
    waiting = Waiting([f"{number}" for number in range(20)])
    with waiting.lock:
        waiting.done.update(waiting.looks)
        waiting.wakeups.wake(waiting.looks)
        for key in ("5", "6", "19"):
            [waiter] = waiting.wakeups._waiting[key]
            waiter.due = False
            waiter.woken.notify()  # as if its time was over
    for thread in waiting.threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert waiting.wakeups._awake == 0


def test_a_thread_that_is_woken_again_before_it_has_looked_keeps_nobody_waiting() -> None:
    waiting = Waiting(["a", "b"])
    for _ in range(20):
        with waiting.lock:  # so that the thread cannot look in between
            waiting.wakeups.wake(["a"])
            waiting.wakeups.wake(["a"])
    waiting.finish("a", "b")
    for thread in waiting.threads:
        thread.join(SECONDS / 2)  # and not because its own time is over
        assert not thread.is_alive()
