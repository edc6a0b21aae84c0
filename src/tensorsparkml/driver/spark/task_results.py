"""Results that Spark tasks hand over when they succeed, while their job still runs.

A task cannot tell by itself whether it has succeeded. Where Spark fails to compute a partition, the
task's input just ends, as after the last row, and Spark repeats the task; a speculative copy of a
task may end after the first one. An accumulator counts what the one attempt added that Spark
accepted, at the moment in which it did.

PySpark keeps every accumulator for as long as the process lives. So there is one for each
application, and what it holds of receivers are weak references.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext


class Receiver(Protocol):
    """Gets what tasks hand over."""

    def receive(self, result: Any) -> None:
        """Take one result of a task that succeeded; called from a thread of PySpark."""


class TaskResults:
    """What tasks add to; it travels to them in a closure.

    Args:
        accumulator: The application's accumulator.
        number: Number of the receiver.
    """

    def __init__(self, accumulator: Accumulator[list[Any]], number: int) -> None:
        self._accumulator = accumulator
        self._number = number

    def add(self, result: Any) -> None:
        """Hand over a result once the task that calls this has succeeded."""
        self._accumulator.add([(self._number, result)])


_lock = threading.Lock()
_numbers = itertools.count()
_receivers: WeakValueDictionary[int, Receiver] = WeakValueDictionary()
_application: tuple[str, Accumulator[list[Any]]] | None = None


def task_results(context: SparkContext, receiver: Receiver) -> TaskResults:
    """Return what tasks add to, for a receiver that is not kept alive by it."""
    global _application
    with _lock:
        application = context.applicationId
        if _application is None or _application[0] != application:
            _application = application, context.accumulator([], _make_param(at_driver=True))
        number = next(_numbers)
        _receivers[number] = receiver
        return TaskResults(_application[1], number)


def _dispatch(number: int, result: Any) -> None:
    receiver = _receivers.get(number)
    if receiver is not None:  # nobody waits for the results of a feed that is gone
        receiver.receive(result)


def _collecting_param() -> Any:
    return _make_param(at_driver=False)


def _make_param(at_driver: bool) -> Any:
    from pyspark.accumulators import AccumulatorParam

    class Results(AccumulatorParam[list[Any]]):
        """Collects in tasks, and hands over at the driver, where nothing is kept."""

        def zero(self, value: list[Any]) -> list[Any]:
            return []

        def addInPlace(self, value1: list[Any], value2: list[Any]) -> list[Any]:
            if not at_driver:
                return [*value1, *value2]
            for number, result in value2:
                _dispatch(number, result)
            return value1

        def __reduce__(self) -> tuple[Any, ...]:
            return _collecting_param, ()

    return Results()
