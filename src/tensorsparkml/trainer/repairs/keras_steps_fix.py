"""Makes the steps and epochs of Keras 3 on this library's datasets those of one process.

Four defects of Keras's TensorFlow trainer are repaired, for datasets of this library; others are
read as Keras reads them:

- At the end of data of unknown length the step that finds none still counts
  `optimizer.iterations` up, so Adam trains differently. Here no operation of a step runs without
  its batch.
- Every replica's mean loss counts the same. Here it counts by the scale of its batch (see
  `step_scales`), in gradients and in the reported losses; sample weights, which metrics see as
  well, stay as they are.
- A loss function that returns one number, the mean over its batch, is added up over the replicas,
  so gradients are as many times as large. Here it counts as Keras 2 counts it: as a mean, unless
  the loss's reduction says otherwise.
- Every `fit` warns that the input ran out of data, and, since 3.15, that it will not be shuffled.

Knows private names of Keras and TensorFlow, and is applied by `keras_fix`, which has read the
source before. A few functions must be replaced together, because they share a thread's scale.
"""

from __future__ import annotations

import ast
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any
from weakref import WeakSet

from tensorsparkml.errors import UnsupportedVersionError
from tensorsparkml.trainer.datasets.step_scales import (
    ScaledBatch,
    ScaledIterator,
    current_scale,
    is_own,
    scaled,
    scales_of,
)
from tensorsparkml.trainer.repairs.source_inspection import (
    calls,
    parse_function,
    replace,
    unrecognised,
)

__all__ = [
    "check_epochs",
    "check_scaled_losses",
    "exact_step",
    "is_own_iterator",
    "map_distributed",
    "repair_epochs",
    "repair_losses",
    "repair_losses_of_outputs",
]

EPOCHS = "TFEpochIterator"
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")  # reductions
_iterators: WeakSet[Any] = WeakSet()  # of this library's datasets for a single replica
_state = threading.local()


def check_epochs(module: ModuleType) -> None:
    """Look whether the trainer's epochs are as this module knows them.

    Raises:
        UnsupportedVersionError: They are not.
    """
    parse_function(module, f"{EPOCHS}.__init__", ["self", "distribute_strategy", "args", "kwargs"])
    for name, called in (("_get_iterator", None), ("_interrupted_warning", "warn")):
        function = parse_function(module, f"{EPOCHS}.{name}", ["self"])
        if called and not calls(function, called):
            raise unrecognised(module, f"{EPOCHS}.{name}", f"does not call {called}")


def check_scaled_losses(module: ModuleType) -> None:
    """Look whether the trainer's steps scale losses as this module knows it.

    Raises:
        UnsupportedVersionError: They do not.
    """
    unscale, scale = "unscale_loss_for_distribution", "scale_loss_for_distribution"
    for name, parameters, called in (
        ("train_step", ["self", "data"], unscale),
        ("test_step", ["self", "data"], unscale),
        ("_aggregate_additional_loss", ["self", "loss"], scale),
    ):
        name = f"TensorFlowTrainer.{name}"
        if not calls(parse_function(module, name, parameters), called):
            raise unrecognised(module, name, f"does not call {called}")


def repair_epochs(module: ModuleType) -> None:
    """Let epochs of this library's datasets end without warnings, and their steps be known."""
    check_epochs(module)
    replace(module, f"{EPOCHS}.__init__", _begin_epochs)
    replace(module, f"{EPOCHS}._get_iterator", _get_iterator)
    replace(module, f"{EPOCHS}._interrupted_warning", _warn)


def repair_losses(module: ModuleType) -> None:
    """Let the losses of a step count by the scale of their batch."""
    scale, unscale = "scale_loss_for_distribution", "unscale_loss_for_distribution"
    for name in (scale, unscale):
        if not calls(parse_function(module, name, ["value"]), "multiply"):
            raise unrecognised(module, name, "does not multiply")
    name, parameters = "reduce_values", ["values", "sample_weight", "reduction"]
    function = parse_function(module, name, parameters)
    if not calls(function, scale):
        raise unrecognised(module, name, f"does not call {scale}")
    replace(module, scale, _scale)
    replace(module, unscale, _unscale)
    if "tuple(values.shape) == ()" in ast.unparse(function):
        replace(module, name, functools.partial(_scale_numbers, getattr(module, scale)))


def repair_losses_of_outputs(module: ModuleType) -> None:
    """Let the losses of several outputs be reported by the scale of their batch, too.

    Where batches have no fixed size, Keras averages them over steps and replicas without weights.
    """
    name = "CompileLoss.call"
    function = parse_function(module, name, ["self", "y_true", "y_pred", "sample_weight"])
    if not calls(function, "unscale_loss_for_distribution"):
        raise unrecognised(module, name, "does not call unscale_loss_for_distribution")
    replace(module, name, _track_outputs)


def is_own_iterator(iterator: Any) -> bool:
    """Whether a plain iterator goes through a dataset of this library."""
    return iterator in _iterators


def exact_step(step_function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a step of which nothing runs without its batch, and whose losses have its scale."""

    @functools.wraps(step_function)
    def step(data: Any) -> Any:
        import tensorflow as tf

        if isinstance(data, ScaledBatch):
            with scaled(data.scale):
                return step_function(data.batch)
        parts = tf.nest.flatten(data, expand_composites=True)
        with tf.control_dependencies([part for part in parts if tf.is_tensor(part)]):
            return step_function(data)

    return step


def map_distributed(dataset: Any, function: Callable[..., Any]) -> Any:
    """Return a distributed dataset with the function applied to this node's own batches."""
    if (scales := scales_of(dataset)) is not None:
        return scales.map(function)
    try:
        strategy, (local,), options = dataset._strategy, dataset._datasets, dataset._options
    except (AttributeError, ValueError) as error:
        raise UnsupportedVersionError(
            "class_weight works only for a distributed dataset from "
            f"strategy.distribute_datasets_from_function, not for a {type(dataset).__name__}. "
            "Pass sample weights as the dataset's third element instead."
        ) from error
    return strategy.distribute_datasets_from_function(lambda _: local.map(function), options)


def _comes_from_own(dataset: Any) -> bool:
    """Whether a dataset is one of this library, or made from one, such as with `take`."""
    return is_own(dataset) or any(map(_comes_from_own, getattr(dataset, "_inputs", tuple)()))


def _begin_epochs(
    wrapped: Callable[..., None], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    # Keras shuffles arrays, and says of any other data that it does not.
    if kwargs.get("shuffle") and _comes_from_own(kwargs.get("x")):
        kwargs = kwargs | {"shuffle": False}
    wrapped(*args, **kwargs)


class _Epochs:
    """What an epoch's iterator is made of, for a dataset of this library."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        if (scales := scales_of(self._dataset)) is not None:
            return ScaledIterator(iter(scales.pairs))
        iterator: Iterator[Any] = iter(self._dataset)
        _iterators.add(iterator)
        return iterator


def _get_iterator(
    wrapped: Callable[..., Any], epochs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    found = wrapped(*args, **kwargs)
    return _Epochs(found) if _comes_from_own(epochs.data_adapter.get_tf_dataset()) else found


def _warn(
    wrapped: Callable[..., None], epochs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    # With a number of steps that the program asked for, it is right.
    if epochs.steps_per_epoch or not _comes_from_own(epochs.data_adapter.get_tf_dataset()):
        wrapped(*args, **kwargs)


def _scale(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    value, scale = wrapped(*args, **kwargs), current_scale()
    if scale is None:
        return value
    import tensorflow as tf

    # A batch without rows counts nothing, whatever its mean is.
    return tf.math.multiply_no_nan(value, tf.cast(scale, value.dtype))


def _scale_numbers(
    scale: Callable[[Any], Any],
    wrapped: Callable[..., Any],
    _: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    loss = wrapped(*args, **kwargs)
    given = inspect.signature(wrapped).bind(*args, **kwargs)
    given.apply_defaults()
    is_number = tuple(given.arguments["values"].shape) == ()
    return scale(loss) if is_number and given.arguments["reduction"] in MEANS else loss


def _unscale(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    value, scale = wrapped(*args, **kwargs), current_scale()
    # Keras weighs the loss of a step by the rows of the batch, those of outputs by nothing.
    if scale is None or getattr(_state, "tracks_outputs", False):
        return value
    import tensorflow as tf

    return tf.math.divide_no_nan(value, tf.cast(scale, value.dtype))


def _track_outputs(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    _state.tracks_outputs = True
    try:
        return wrapped(*args, **kwargs)
    finally:
        _state.tracks_outputs = False
