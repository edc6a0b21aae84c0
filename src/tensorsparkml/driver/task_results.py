"""What Spark tasks hand over when they succeed, while their job still runs.

A task cannot tell by itself whether it has succeeded. Where Spark fails to compute a partition, the
task's input just ends, as after the last row, and Spark repeats the task; a speculative copy of a
task may end after the first one. An accumulator counts what the one attempt added that Spark
accepted, at the moment in which it did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext

logger = logging.getLogger(__name__)


def task_results(context: SparkContext, receive: Callable[[Any], object]) -> Accumulator[list[Any]]:
    """Return an accumulator of lists, to which tasks add.

    Args:
        context: Spark's context.
        receive: Called at the driver, from a thread, with every item of a task that succeeded.
    """
    return context.accumulator([], _make_param(receive))


def _collecting_param() -> Any:
    return _make_param(None)


def _make_param(receive: Callable[[Any], object] | None) -> Any:
    from pyspark.accumulators import AccumulatorParam

    class Results(AccumulatorParam[list[Any]]):
        """Collects in tasks, and hands over at the driver, where nothing is kept."""

        def zero(self, value: list[Any]) -> list[Any]:
            return []

        def addInPlace(self, value1: list[Any], value2: list[Any]) -> list[Any]:
            if receive is None:
                return [*value1, *value2]
            for item in value2:
                receive(item)
            return value1

        def __reduce__(self) -> tuple[Any, ...]:
            return _collecting_param, ()

    return Results()
