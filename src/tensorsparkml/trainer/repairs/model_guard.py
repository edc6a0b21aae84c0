"""Looks at a Keras model's `fit`, `evaluate` and `predict` before their first step.

A model that was made outside of the strategy's scope fails with messages of TensorFlow that do not
name the cause; inputs that are too many for a model are left out without a word; and a call that
only some nodes make waits for the others forever. Only public names of Keras are used;
`tests/trainer/test_model_guard.py` pins that its calls are found.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import wrapt

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.datasets.step_scales import is_own

__all__ = ["install", "name_features", "on_joint_call"]

_CALLS = ("fit", "evaluate", "predict")
_features: WeakKeyDictionary[Any, tuple[str, ...]] = WeakKeyDictionary()
_numbers = itertools.count(1)
_listeners: list[tuple[Callable[[int, str], object], Callable[[], object]]] = []
_under_way = 0


@functools.cache
def install() -> None:
    """Guard models when Keras is imported; imports neither Keras nor TensorFlow."""
    for keras in ("keras", "tf_keras"):
        wrapt.when_imported(keras)(guard)


def guard(keras: ModuleType) -> None:
    """Look at the calls of every model of a Keras."""
    for name in _CALLS:
        wrapt.wrap_function_wrapper(keras, f"Model.{name}", functools.partial(_look, name))


def on_joint_call(
    begins: Callable[[int, str], object], ended: Callable[[], object] = lambda: None
) -> None:
    """Call functions around each call of a model that all nodes must make.

    Args:
        begins: Gets the number of the call in this process, from 1, and its name, such as `fit`.
        ended: Is called when none is under way any more, as an `evaluate` in a `fit` may be.
    """
    _listeners.append((begins, ended))


def name_features(dataset: Any, names: tuple[str, ...]) -> None:
    """Remember which columns a dataset of this library has as a tuple of features."""
    _features[dataset] = names


def _look(
    name: str,
    wrapped: Callable[..., Any],
    model: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    import tensorflow as tf

    given = (args[0] if args else kwargs.get("x"), kwargs.get("validation_data"))
    for dataset in given:
        if isinstance(dataset, tf.data.Dataset | tf.distribute.DistributedDataset):
            if isinstance(dataset, tf.distribute.DistributedDataset):
                _check_scope(model, name)
            if is_own(dataset):
                _check_inputs(model, dataset)
    if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return _joint_call(name, lambda: wrapped(*args, **kwargs))
    return wrapped(*args, **kwargs)


def _joint_call(name: str, call: Callable[[], Any]) -> Any:
    global _under_way
    number = next(_numbers)
    for begins, _ in _listeners:
        begins(number, name)
    _under_way += 1
    try:
        return call()
    finally:
        _under_way -= 1
        if not _under_way:
            for _, ended in _listeners:
                ended()


def _check_scope(model: Any, name: str) -> None:
    """Check that what a call needs has a copy on every replica.

    Raises:
        ConfigurationError: The model, or what `fit` changes, was made outside of the scope.
    """
    outside = None
    if model.distribute_strategy.num_replicas_in_sync == 1:
        outside = "the model"
    elif name == "fit":
        layers = (variable for variable in model.trainable_variables if _is_of_one(variable))
        if (variable := next(layers, None)) is not None:
            name_of_variable = getattr(variable, "path", variable.name)
            outside = f"the layer with the variable {name_of_variable!r}"
        elif _is_of_one(getattr(getattr(model, "optimizer", None), "iterations", None)):
            outside = "the model's optimizer"
    if outside:
        raise ConfigurationError(
            f"{outside} was created outside the strategy's scope, so {name} cannot use it together "
            "with the other nodes; create and compile the model in `with ctx.strategy.scope():`"
        )


def _is_of_one(variable: Any) -> bool:
    """Whether a variable of Keras or TensorFlow is there once, rather than on every replica."""
    import tensorflow as tf

    value = variable if isinstance(variable, tf.Variable) else getattr(variable, "value", None)
    return isinstance(value, tf.Variable) and not isinstance(value, tf.distribute.DistributedValues)


def _check_inputs(model: Any, dataset: Any) -> None:
    """Check that a model whose inputs are known takes as many tensors as a tuple of features has.

    Raises:
        ConfigurationError: It takes another number.
    """
    spec = dataset.element_spec
    # An element is x, or (x, y), or (x, y, weights); where x alone is a tuple, it looks like them.
    names = _features.get(dataset, ())
    features = spec[0] if isinstance(spec, tuple) and spec else spec
    if names and not isinstance(features, tuple):
        features = spec
    if not isinstance(features, tuple):
        return
    try:
        inputs = model.inputs
    except AttributeError:  # of a model that is not built yet, or is a class of the user's
        return
    if inputs is None or len(inputs) == len(features):
        return
    columns = f" ({', '.join(names)})" if len(names) == len(features) else ""
    wanted = ", ".join(tensor.name for tensor in inputs)
    raise ConfigurationError(
        f"the dataset's features are {len(features)} tensors{columns}, but the model has "
        f"{len(inputs)} input{'s' * (len(inputs) != 1)} ({wanted}); name a column for each input, "
        "as in features={'input': 'column'}, or join columns with features=tsm.Matrix([...])"
    )
