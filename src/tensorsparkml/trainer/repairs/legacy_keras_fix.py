"""Lets Keras 2, which is the package tf_keras, read distributed datasets to their end.

Keras 2 wants `steps_per_epoch` for every `tf.distribute.DistributedDataset`, because it does not
know whether all nodes have equally many batches. With this library they have, so an epoch without
`steps_per_epoch` goes on to the end of the data, as it does for a `tf.data.Dataset`.

At the end of data of unknown length, on a single node too, its optimizer counts the step that finds
none, and Adam's next steps depend on that count. Here it waits for the gradients, which such a step
does not have.

This is the only module that knows private names of tf_keras. One whose source it does not
recognise is refused with an `UnsupportedVersionError`.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

from tensorsparkml.errors import UnsupportedVersionError
from tensorsparkml.trainer.repairs.source_inspection import (
    calls,
    parse_function,
    replace,
    unrecognised,
)

__all__ = ["install", "install_for_one_replica"]

logger = logging.getLogger(__name__)

ADAPTER = "tf_keras.src.engine.data_adapter"
OPTIMIZER = "tf_keras.src.optimizers.optimizer"


@functools.cache
def install() -> None:
    """Registers the repair, to be made when tf_keras imports the module that needs it.

    Imports neither Keras nor TensorFlow. Calling it again does nothing.

    Raises:
        UnsupportedVersionError: Not from here, unless tf_keras is loaded already, but from the
            import of a tf_keras that this module does not recognise.
    """
    wrapt.when_imported(ADAPTER)(repair_adapter)
    install_for_one_replica()


@functools.cache
def install_for_one_replica() -> None:
    """Registers what a node that trains alone needs: that no step counts without a batch."""
    wrapt.when_imported(OPTIMIZER)(repair_optimizer)


def repair_optimizer(module: ModuleType) -> None:
    """Lets optimizers do nothing before they have gradients; leaves unknown ones as they are."""
    name = "Optimizer.apply_gradients"
    parameters = ["self", "grads_and_vars", "name", "skip_gradients_aggregation", "kwargs"]
    try:
        parse_function(module, name, parameters)
    except UnsupportedVersionError as error:
        logger.warning(
            "the optimizer may count one step too many at the end of the data: %s", error
        )
    else:
        replace(module, name, _apply_gradients)


def _apply_gradients(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    import tensorflow as tf

    call = inspect.signature(wrapped).bind(*args, **kwargs)
    pairs = list(call.arguments["grads_and_vars"])
    call.arguments["grads_and_vars"] = pairs
    with tf.control_dependencies([gradient for gradient, _ in pairs if gradient is not None]):
        return wrapped(*call.args, **call.kwargs)


def repair_adapter(module: ModuleType) -> None:
    """Lets the adapter of datasets take distributed ones without a number of steps."""
    check = "DatasetAdapter._validate_args"
    recreate = "DatasetAdapter.should_recreate_iterator"
    parameters = ["self", "y", "sample_weights", "steps", "pss_evaluation_shards"]
    for name, expected in ((check, parameters), (recreate, ["self"])):
        if not calls(parse_function(module, name, expected), "_is_distributed_dataset"):
            raise unrecognised(module, name, "does not treat distributed datasets differently")
    wrapt.wrap_function_wrapper(module, check, functools.partial(_validate, module))
    wrapt.wrap_function_wrapper(module, recreate, functools.partial(_recreate, module))


def _read_to_its_end(module: ModuleType, adapter: Any) -> bool:
    return adapter._user_steps is None and bool(module._is_distributed_dataset(adapter._dataset))


def _validate(
    module: ModuleType,
    wrapped: Callable[..., None],
    adapter: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    if not _read_to_its_end(module, adapter):
        wrapped(*args, **kwargs)


def _recreate(
    module: ModuleType,
    wrapped: Callable[..., bool],
    adapter: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> bool:
    return _read_to_its_end(module, adapter) or wrapped(*args, **kwargs)
