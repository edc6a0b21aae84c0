"""Repairs what Keras 3 takes to be alike on all replicas, or a single tensor.

Four defects under `MultiWorkerMirroredStrategy`, and under `MirroredStrategy` with several GPUs:

- `LossScaleOptimizer`, which Keras uses with `mixed_float16`, leaves a step out where a gradient is
  not finite. Each replica looks at its own gradients, which are not added up yet, so one leaves the
  step out while the others wait for it, or all apply what is not finite. Here the step is left out
  on all replicas, or on none.
- Optimizers clip each replica's gradients, and then add them up. Here it is the other way round.
- `reduce_per_replica` averages scalars over axis 0, which they do not have. It also puts the
  outputs of the nodes' first replicas before those of all second ones.
- What a step returns is averaged over the nodes, but a metric's `result` may return its variable,
  which is not a tensor.

Knows private names of Keras, and is applied by `keras_fix`. It reads the source
first; tests/trainer/test_keras_fix.py and tests/trainer/test_keras_numbers.py pin it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from tensorsparkml.trainer.repairs.source_inspection import (
    calls,
    parse_function,
    replace,
    unrecognised,
)

__all__ = [
    "repair_clipping",
    "repair_loss_scaling",
    "repair_reduction",
    "variables_as_tensors",
]

_gradients = threading.local()  # a strategy runs each replica's step in a thread of its own


def repair_loss_scaling(module: ModuleType) -> None:
    """Let all replicas decide together whether the gradients of a step are finite.

    Raises:
        UnsupportedVersionError: The source is not recognised.
    """
    check = "LossScaleOptimizer.check_finite"
    _require_calls(module, check, ["self", "grads"], "isfinite")
    of_gradients = ["self", "grads", "trainable_variables"]
    apply = "LossScaleOptimizer._tf_apply"
    _require_calls(module, apply, of_gradients, "_common_apply", "call_for_each_replica")
    _require_calls(module, "LossScaleOptimizer._common_apply", of_gradients, "check_finite")
    replace(module, check, _finite_on_all_replicas)


def repair_clipping(module: ModuleType) -> None:
    """Let optimizers add up the gradients of all replicas before they clip them.

    Raises:
        UnsupportedVersionError: The source is not recognised.
    """
    apply, add_up = "TFOptimizer._backend_apply_gradients", "TFOptimizer._all_reduce_sum_gradients"
    of_gradients = ["self", "grads", "trainable_variables"]
    _require_calls(module, apply, of_gradients, "_clip_gradients", "_backend_update_step")
    update = "TFOptimizer._backend_update_step"
    _require_calls(module, update, [*of_gradients, "learning_rate"], "_all_reduce_sum_gradients")
    _require_calls(module, add_up, ["self", "grads_and_vars"], "all_reduce")
    replace(module, apply, _apply_to_sums)
    replace(module, add_up, _add_up_once)


def repair_reduction(module: ModuleType) -> None:
    """Let the trainer module reduce scalars, and keep the outputs of a node together.

    Raises:
        UnsupportedVersionError: The source is not recognised.
    """
    if reduces_scalars_over_axis(module):
        replace(module, "reduce_per_replica", functools.partial(_reduce, module))


def reduces_scalars_over_axis(module: ModuleType) -> bool:
    """Whether the mean over several workers is taken along an axis of the values."""
    name = "reduce_per_replica"
    function = parse_function(module, name, ["values", "strategy", "reduction"])
    parse_function(module, "_collective_all_reduce_multi_worker", ["strategy"])
    axes = [
        ast.unparse(keyword.value)
        for call in calls(function, "reduce")
        if call.args and ast.unparse(call.args[0]) == "'MEAN'"
        for keyword in call.keywords
        if keyword.arg == "axis"
    ]
    if not axes or not set(axes) <= {"0", "None"}:
        raise unrecognised(module, name, f"reduces the mean over the axes {axes}")
    return "0" in axes


def variables_as_tensors(outputs: Any) -> Any:
    """Return what a step gives for one replica, with the values of variables in their places."""
    import keras
    import tensorflow as tf

    def as_tensor(value: Any) -> Any:
        known = isinstance(value, tf.Variable | keras.Variable)
        return tf.convert_to_tensor(value) if known else value

    return tf.nest.map_structure(as_tensor, outputs)


def _require_calls(module: ModuleType, name: str, parameters: list[str], *called: str) -> None:
    function = parse_function(module, name, parameters)
    for other in called:
        if not calls(function, other):
            raise unrecognised(module, name, f"does not call {other}")


def _reduce(
    module: ModuleType,
    wrapped: Callable[..., Any],
    _: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    call = inspect.signature(wrapped).bind(*args, **kwargs).arguments
    values, strategy, reduction = call["values"], call["strategy"], call["reduction"]
    together = module._collective_all_reduce_multi_worker(strategy)
    if together and reduction in ("auto", "mean"):
        return module.tree.map_structure(
            lambda value: strategy.reduce("MEAN", value, axis=None), values
        )
    if together and reduction == "concat":
        return module.tree.map_structure(lambda value: strategy.gather(value, axis=0), values)
    return wrapped(values, strategy, reduction)


def _apply_to_sums(
    wrapped: Callable[..., Any], optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    call = inspect.signature(wrapped).bind(*args, **kwargs).arguments
    variables = call["trainable_variables"]
    pairs = optimizer._all_reduce_sum_gradients(zip(call["grads"], variables, strict=True))
    _gradients.are_sums = True
    try:
        return wrapped([gradient for gradient, _ in pairs], variables)
    finally:
        _gradients.are_sums = False


def _add_up_once(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if not getattr(_gradients, "are_sums", False):
        return wrapped(*args, **kwargs)
    return list(inspect.signature(wrapped).bind(*args, **kwargs).arguments["grads_and_vars"])


def _finite_on_all_replicas(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    finite = wrapped(*args, **kwargs)
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return finite
    not_finite = tf.cast(tf.logical_not(finite), tf.float32)
    return tf.equal(replica.all_reduce(tf.distribute.ReduceOp.SUM, not_finite), 0)
