"""Results that Spark tasks hand over when they succeed, while their job still runs.

A task does not know whether it has succeeded. If Spark fails to compute a partition, the task's
input ends as after the last row, and Spark repeats the task. A speculative copy of a task may end
after the first one. But an accumulator gets only the values of the attempt that Spark has accepted,
at that moment.

PySpark keeps every accumulator as long as the process lives. So there is one for each application,
which holds only weak references to the receivers.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext


class Receiver(Protocol):
    """Gets the results of tasks."""

    def receive(self, result: Any) -> None:
        """Take a result of a task that has succeeded; called from a thread of PySpark."""


class TaskResults:
    """Takes results in tasks; it is sent to them in a closure.

    Args:
        accumulator: The application's accumulator.
        number: Number of the receiver.
    """

    def __init__(self, accumulator: Accumulator[list[Any]], number: int) -> None:
        self._accumulator = accumulator
        self._number = number

    def add(self, result: Any) -> None:
        """Hand over a result if and when the calling task succeeds."""
        self._accumulator.add([(self._number, result)])


_lock = threading.Lock()
_numbers = itertools.count()
_receivers: WeakValueDictionary[int, Receiver] = WeakValueDictionary()
_application: tuple[str, Accumulator[list[Any]]] | None = None


def task_results(context: SparkContext, receiver: Receiver) -> TaskResults:
    """Return an object to which tasks add results for a receiver; it does not keep it alive."""
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
        """Collects results in tasks, and passes them on at the driver without keeping them."""

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
