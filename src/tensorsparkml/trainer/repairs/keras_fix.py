"""Makes Keras 3 `fit`, `evaluate` and `predict` work under MultiWorkerMirroredStrategy.

What a step and an epoch are is repaired by `keras_steps_fix`, for single nodes too, and what
replicas do not have in common by `keras_replicas_fix`. Four other
defects of Keras's TensorFlow trainer are repaired here (keras-team/keras#20585):

- `_maybe_symbolic_build` reduces the whole batch, a tuple, where a tensor is expected.
- `_maybe_symbolic_build` reads a batch of the data to learn its shapes and throws it away, at the
  start of every `fit` and of every evaluation. The dataset's element spec tells the shapes too.
- The step function fetches its batch inside the graph, so with `steps_per_execution` above 1 the
  steps' collectives lie in nested control flow, where TensorFlow cannot number them.
- `fit(class_weight=...)` calls `map` on the dataset; a `tf.distribute.DistributedDataset` has none.

These three modules alone know Keras's private names. This one reads the installed Keras's source to
see which defects are there. A Keras without them is left as it is; one whose source it does not
recognise is refused with an `UnsupportedVersionError`, because a wrong guess would train wrongly.

With the fix, and a `DistributedDataset` made from a function, Keras gives:

- `fit`, `evaluate`: the same epoch logs on every node, computed over the rows of all nodes. The
  logs of a single batch are the mean of the nodes' running values.
- `predict`: the outputs of all nodes on every node, batch by batch: the rows of node 0's first
  batch, of node 1's first batch, …, of node 0's second batch, and so on, however many replicas a
  node has.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import wrapt

from tensorsparkml.errors import UnsupportedVersionError
from tensorsparkml.trainer.datasets.step_scales import ScaledBatch, ScaledIterator
from tensorsparkml.trainer.repairs import keras_replicas_fix, keras_steps_fix
from tensorsparkml.trainer.repairs.source_inspection import (
    calls,
    parse_function,
    replace,
    require_version,
    unrecognised,
)

__all__ = ["install", "install_for_one_replica"]

logger = logging.getLogger(__name__)

TRAINER = "keras.src.backend.tensorflow.trainer"
LOSSES = "keras.src.losses.loss"
LOSSES_OF_OUTPUTS = "keras.src.trainers.compile_utils"
ADAPTER = "keras.src.trainers.data_adapters.tf_dataset_adapter"
# With the same repairs 3.9 trains, but two nodes compute something else than one process.
OLDEST = (3, 12)
OPTIMIZER = "keras.src.backend.tensorflow.optimizer"
LOSS_SCALING = "keras.src.optimizers.loss_scale_optimizer"


@functools.cache
def install() -> None:
    """Registers the repairs, each to be made when Keras imports the module that needs it.

    Imports neither Keras nor TensorFlow. Calling it again does nothing.

    Raises:
        UnsupportedVersionError: Not from here, unless Keras is loaded already, but from the import
            of a Keras that this module does not recognise.
    """
    wrapt.when_imported(TRAINER)(repair_trainer)
    wrapt.when_imported(ADAPTER)(repair_adapter)
    wrapt.when_imported(LOSSES)(repair_losses)
    wrapt.when_imported(LOSSES_OF_OUTPUTS)(keras_steps_fix.repair_losses_of_outputs)
    wrapt.when_imported(OPTIMIZER)(keras_replicas_fix.repair_clipping)
    wrapt.when_imported(LOSS_SCALING)(keras_replicas_fix.repair_loss_scaling)


@functools.cache
def install_for_one_replica() -> None:
    """Registers what a node that trains alone needs: that no step counts without a batch.

    A Keras that this module does not recognise is left as it is, with a warning in the log.
    """
    wrapt.when_imported(TRAINER)(repair_steps_if_known)


def repair_losses(module: ModuleType) -> None:
    """Repairs how the module of losses counts replicas whose batches differ in size.

    Raises:
        UnsupportedVersionError: Keras is too old, or its source is not recognised.
    """
    require_version(OLDEST)
    keras_steps_fix.repair_losses(module)


def repair_steps_if_known(module: ModuleType) -> None:
    """Repairs steps and epochs for a single replica, where the source is recognised."""
    try:
        require_version(OLDEST)
        repair_steps(module)
    except UnsupportedVersionError as error:
        logger.warning(
            "this Keras is not repaired, so its optimizer may count one step too many at the end "
            "of the data: %s",
            error,
        )


def repair_steps(module: ModuleType) -> None:
    """Repairs how the trainer module takes the batches of an epoch.

    Raises:
        UnsupportedVersionError: The source is not recognised.
    """
    if not fetches_in_graph(module):
        raise unrecognised(module, "TensorFlowTrainer._make_function", "does not fetch the batches")
    keras_steps_fix.repair_epochs(module)
    replace(module, "TensorFlowTrainer._make_function", functools.partial(_make_function, module))


def repair_trainer(module: ModuleType) -> None:
    """Repairs the defects that Keras's TensorFlow trainer module has.

    Raises:
        UnsupportedVersionError: Keras is older than the oldest that trains correctly with the
            repairs, or its source is not recognised.
    """
    require_version(OLDEST)
    if reads_or_reduces_batch(module):
        replace(module, "TensorFlowTrainer._maybe_symbolic_build", _build_from_spec)
    keras_replicas_fix.repair_reduction(module)
    keras_steps_fix.check_scaled_losses(module)
    repair_steps(module)


def repair_adapter(module: ModuleType) -> None:
    """Repairs the defect that Keras's `tf.data` adapter module has."""
    if maps_distributed_dataset(module):
        replace(module, "TFDatasetAdapter.__init__", functools.partial(_adapt, module))


def reads_or_reduces_batch(module: ModuleType) -> bool:
    """Whether the build before the first step consumes a batch, or reduces one."""
    name = "TensorFlowTrainer._maybe_symbolic_build"
    function = parse_function(module, name, ["self", "iterator", "data_batch"])
    if not calls(function, "_symbolic_build"):
        raise unrecognised(module, name, "does not call _symbolic_build")
    return bool(calls(function, "reduce") or calls(function, "next"))


def fetches_in_graph(module: ModuleType) -> bool:
    """Whether the function that executes steps fetches their batches itself."""
    name = "TensorFlowTrainer._make_function"
    function = parse_function(module, name, ["self", "step_function"])
    if not calls(function, "one_step_on_data") or not calls(function, "zip"):
        raise unrecognised(module, name, "does not take the batches of plain iterators")
    return bool(calls(function, "get_next"))


def maps_distributed_dataset(module: ModuleType) -> bool:
    """Whether class weights are applied with a method that only a `tf.data.Dataset` has."""
    name = "TFDatasetAdapter.__init__"
    function = parse_function(module, name, ["self", "dataset", "class_weight", "distribution"])
    if not calls(function, "make_class_weight_map_fn"):
        raise unrecognised(module, name, "does not call make_class_weight_map_fn")
    parse_function(module, "make_class_weight_map_fn", ["class_weight"])
    return any(ast.unparse(call.func) == "dataset.map" for call in calls(function, "map"))


def _build_from_spec(
    wrapped: Callable[..., Any], trainer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Builds the model from the specs of the data, or from a batch where they do not suffice."""
    iterator = inspect.signature(wrapped).bind(*args, **kwargs).arguments.get("iterator")
    if iterator is None or trainer._distribute_strategy is None:
        return wrapped(*args, **kwargs)
    import tensorflow as tf

    specs, complete = _batch_spec(iterator._distributed_dataset.element_spec)
    if specs is not None:
        try:
            return wrapped(data_batch=specs)
        except Exception:
            if complete:
                raise
            logger.warning(
                "the model cannot be built from the dataset's shapes alone, so one batch of every "
                "node is read to build it, without training on it; give the columns their shapes"
            )
    _, _, batches = next(iter(iterator))
    local = trainer.distribute_strategy.experimental_local_results
    batch = tf.nest.map_structure(lambda value: local(value)[0], next(batches))
    return wrapped(data_batch=batch)


def _batch_spec(element_spec: Any) -> tuple[Any, bool]:
    """One replica's spec of a batch, and whether only the number of rows is unknown in it.

    The spec is None where even a rank is unknown.
    """
    import tensorflow as tf

    def one_replica(spec: Any) -> Any:
        if hasattr(spec, "shape"):
            return spec
        # Of one replica each. TensorFlow's own functions would take ragged ones apart as well.
        components = getattr(spec, "_component_specs", ())
        return components[0] if components else None

    specs = tf.nest.map_structure(one_replica, element_spec)
    shapes = [spec.shape for spec in tf.nest.flatten(specs) if spec is not None]
    if any(shape.rank is None for shape in shapes):
        return None, False
    return specs, all(shape[1:].is_fully_defined() for shape in shapes)


def _make_function(
    module: ModuleType,
    wrapped: Callable[..., Any],
    trainer: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    import tensorflow as tf

    (step_function,) = inspect.signature(wrapped).bind(*args, **kwargs).args
    strategy = trainer.distribute_strategy
    if not (
        isinstance(strategy, tf.distribute.MirroredStrategy)
        or module._collective_all_reduce_multi_worker(strategy)
    ):
        as_keras, exact = wrapped(step_function), wrapped(keras_steps_fix.exact_step(step_function))

        def run_steps_of_one(iterator: Any) -> Any:
            own = isinstance(iterator, tf.data.Iterator) and keras_steps_fix.is_own_iterator(
                iterator
            )
            return (exact if own else as_keras)(iterator)

        return run_steps_of_one
    exact_step = keras_steps_fix.exact_step(step_function)
    specs: Any = None

    def with_shape(value: Any, spec: Any) -> Any:
        if not tf.is_tensor(value) or not isinstance(spec, tf.TensorSpec):
            return value
        return tf.compat.v1.placeholder_with_default(value, spec.shape)

    @functools.wraps(step_function)
    def step(data: Any) -> Any:
        # Fetched outside, a batch shows its own number of rows, with which Keras, where it is not
        # None, weighs the losses of several outputs as long as the graph lasts.
        if specs is not None:
            data = tf.nest.map_structure(with_shape, data, specs, check_types=False)
        return keras_replicas_fix.variables_as_tensors(exact_step(data))

    function = wrapped(step)
    fetch = tf.function(lambda iterator: iterator.get_next())

    def fetch_all(iterator: Any) -> Iterator[Any]:
        with contextlib.suppress(tf.errors.OutOfRangeError):
            while True:
                yield fetch(iterator)

    def run_steps(iterator: Any) -> Any:
        nonlocal specs
        batches: Iterator[Any]
        if isinstance(iterator, ScaledIterator):
            iterator = iterator.pairs
            batches = itertools.starmap(ScaledBatch, fetch_all(iterator))
            pair, _ = _batch_spec(iterator.element_spec)
            specs = pair and ScaledBatch(*pair)
        elif isinstance(iterator, tf.distribute.DistributedIterator):
            batches = fetch_all(iterator)
            specs, _ = _batch_spec(iterator.element_spec)
        else:
            specs = None
            return function(iterator)
        first = next(batches)  # ends the epoch before any variable has changed
        return function(itertools.chain([first], batches))

    return run_steps


def _adapt(
    module: ModuleType,
    wrapped: Callable[..., Any],
    _: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    call = inspect.signature(wrapped).bind(*args, **kwargs).arguments
    dataset, class_weight = call["dataset"], call.get("class_weight")
    if class_weight is not None and not hasattr(dataset, "map"):
        weigh = module.make_class_weight_map_fn(class_weight)
        call |= {"dataset": keras_steps_fix.map_distributed(dataset, weigh), "class_weight": None}
    return wrapped(**call)
