"""Repairs defects of TensorFlow's own strategies, whatever Keras trains under them.

- A program that makes a second `MultiWorkerMirroredStrategy` starts the node's collective
  operations anew. What other nodes wait for on this node at that moment fails there, with "Delete
  called on non-empty BufRendezvous". Programs that bring a strategy of their own have two, because
  datasets of the context need one.
- The deletion of a distributed iterator can wait for its autotuning threads for up to a minute.
- `float(variable)`, `int(variable)` and, for the state of a metric, `numpy.array(variable)` work
  for a variable of one replica alone.

Knows private names of TensorFlow; tests/trainer/test_tensorflow_fix.py pins them.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import wrapt

from tensorsparkml.trainer.repairs.source_inspection import replace

__all__ = ["install"]

logger = logging.getLogger(__name__)

COLLECTIVES = "tensorflow.python.eager.context"
DEVICE_ITERATOR = "tensorflow.python.data.ops.multi_device_iterator_ops"
DISTRIBUTED_VALUES = "tensorflow.python.distribute.values"
_PLACE = "_tensorsparkml_place"  # an attribute of TensorFlow's context


@functools.cache
def install() -> None:
    """Register the repairs, each to be made when TensorFlow imports the module that needs it.

    Imports no TensorFlow. Calling it again does nothing.
    """
    wrapt.when_imported(COLLECTIVES)(repair_collectives)
    wrapt.when_imported(DEVICE_ITERATOR)(repair_device_iterator)
    wrapt.when_imported(DISTRIBUTED_VALUES)(repair_distributed_variables)


def repair_collectives(module: ModuleType) -> None:
    """Let all strategies of a process share the server that the first one has started."""
    if hasattr(getattr(module, "Context", None), "enable_collective_ops"):
        replace(module, "Context.enable_collective_ops", _enable_once)
    else:
        logger.warning(
            "this TensorFlow's collective operations are not recognised and not repaired"
        )


def repair_device_iterator(module: ModuleType) -> None:
    """Spares the deletion of a distributed iterator a wait for its autotuning threads.

    Such a thread can miss that it is cancelled and sleep on, for up to a minute, in which the
    process holds the GIL and the other nodes wait too. Without autotuning, `tf.data.AUTOTUNE`
    means as many threads as there are cores.
    """
    if hasattr(module, "OwnedMultiDeviceIterator") and hasattr(module, "_create_device_dataset"):
        replace(module, "OwnedMultiDeviceIterator.__init__", _untuned_source)
        replace(module, "_create_device_dataset", _untuned_result)
    else:
        logger.warning(
            "this TensorFlow's distributed iterators are not recognised and not repaired"
        )


def repair_distributed_variables(module: ModuleType) -> None:
    """Let distributed variables become numbers, as others do; leaves unknown ones as they are."""
    kind = getattr(module, "DistributedVariable", None)
    if not hasattr(kind, "numpy"):
        logger.warning(
            "this TensorFlow's distributed variables are not recognised and not repaired"
        )
        return
    for name, number in (
        ("__float__", float),
        ("__int__", int),
        ("__complex__", complex),
        ("__array__", np.asarray),
    ):
        if not hasattr(kind, name):
            setattr(kind, name, _conversion(number))


def _enable_once(
    wrapped: Callable[..., Any], context: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    (server,) = inspect.signature(wrapped).bind(*args, **kwargs).args
    place = server.cluster, server.job_name, server.task_index
    if getattr(context, _PLACE, None) != place:
        wrapped(server)
        setattr(context, _PLACE, place)


def _untuned_source(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    call = inspect.signature(wrapped).bind(*args, **kwargs).arguments
    if call.get("dataset") is not None:
        call["dataset"] = _untuned(call["dataset"])
    return wrapped(**call)


def _untuned_result(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return _untuned(wrapped(*args, **kwargs))


def _untuned(dataset: Any) -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _conversion(number: Callable[..., Any]) -> Callable[..., Any]:
    def convert(variable: Any, *args: Any, **kwargs: Any) -> Any:
        return number(variable.numpy(), *args, **kwargs)

    return convert
