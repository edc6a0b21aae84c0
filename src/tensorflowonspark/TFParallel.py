"""Independent instances of a program, each on one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorsparkml as tsm
from tensorflowonspark.arguments import gpus_of, session_of
from tensorflowonspark.TFSparkNode import TFNodeContext, call, default_fs
from tensorsparkml.program.naming import function_name

if TYPE_CHECKING:
    from pyspark import SparkContext


def run(
    sc: SparkContext,
    map_fn: Callable[[Any, Any], Any],
    tf_args: Any,
    num_executors: int,
    use_barrier: bool = True,
) -> None:
    """Run a function as independent instances; see `tensorsparkml.run_parallel`.

    Args:
        sc: The application.
        map_fn: The program, `map_fn(tf_args, ctx)`.
        tf_args: Its first argument.
        num_executors: Number of instances.
        use_barrier: Whether all must run at the same time. Otherwise instances wait for a free task
            slot.

    Raises:
        NotEnoughSlotsError: There are too few task slots.
        TensorSparkMLError: An instance failed.
    """
    instances = [(number, num_executors, tf_args) for number in range(num_executors)]
    gpus = 0 if gpus_of(tf_args) == 0 else None
    tsm.run_parallel(
        Instance(map_fn), instances, spark=session_of(sc), at_once=use_barrier, gpus=gpus
    )


class Instance:
    """Runs an old program's function as one of several instances.

    Args:
        map_fn: The function.
    """

    def __init__(self, map_fn: Callable[[Any, Any], Any]) -> None:
        self._map_fn = map_fn
        self.__module__ = getattr(map_fn, "__module__", None) or __name__  # as in Program
        self.__name__ = function_name(map_fn)

    def __call__(self, args: tuple[int, int, Any], context: tsm.Context) -> None:
        """Run it."""
        number, instances, tf_args = args
        ctx = TFNodeContext(number, defaultFS=default_fs(context), working_dir=context.working_dir)
        ctx.num_workers = instances
        call(self._map_fn, tf_args, ctx)
