"""What tasks hand over reaches its receiver, which nothing keeps alive."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import pytest

from tensorsparkml.driver.spark import task_results as module
from tensorsparkml.driver.spark.task_results import task_results


class Accumulator:
    """As PySpark's: the driver merges what a copy of it collected in a task."""

    def __init__(self, value: list[Any], param: Any) -> None:
        self.param = param
        self.value = value

    def add(self, term: list[Any]) -> None:
        self.value = self.param.addInPlace(self.value, term)


class Context:
    def __init__(self, application: str = "app-1") -> None:
        self.applicationId = application
        self.made: list[Accumulator] = []

    def accumulator(self, value: list[Any], param: Any) -> Accumulator:
        self.made.append(Accumulator(value, param))
        return self.made[-1]


class Feed:
    def __init__(self) -> None:
        self.received: list[Any] = []

    def receive(self, result: Any) -> None:
        self.received.append(result)


@pytest.fixture(autouse=True)
def no_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_application", None)


def finish(results: Any, context: Context, *added: Any) -> None:
    """A task that adds something and succeeds."""
    task = pickle.loads(pickle.dumps(results))
    for each in added:
        task.add(each)
    context.made[-1].add(task._accumulator.value)


def test_each_receiver_gets_its_own_results() -> None:
    context, first, second = Context(), Feed(), Feed()
    results = task_results(context, first), task_results(context, second)  # type: ignore[arg-type]
    finish(results[0], context, "a", "b")
    finish(results[1], context, "c")
    assert (first.received, second.received) == (["a", "b"], ["c"])
    assert len(context.made) == 1
    assert context.made[0].value == []


def test_a_feed_that_is_gone_is_not_kept() -> None:
    context, feed = Context(), Feed()
    results = task_results(context, feed)  # type: ignore[arg-type]
    gone = weakref.ref(feed)
    del feed
    gc.collect()
    assert gone() is None
    finish(results, context, "late")


def test_another_application_has_an_accumulator_of_its_own() -> None:
    first, second, feed = Context("app-1"), Context("app-2"), Feed()
    task_results(first, feed)  # type: ignore[arg-type]
    finish(task_results(second, feed), second, "a")  # type: ignore[arg-type]
    assert feed.received == ["a"]
    assert len(first.made) == len(second.made) == 1
