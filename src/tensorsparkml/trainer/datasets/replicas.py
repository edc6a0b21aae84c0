"""A node's batches for its replicas, one on each of its GPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.trainer.datasets.methods import add_methods, call_with, with_shared_methods
from tensorsparkml.trainer.datasets.step_scales import ScaledDataset, mark_own

__all__ = [
    "cut_batches",
    "local_batches",
    "replicas_of_node",
    "replicated",
    "several_replicas",
]

_PREFETCHED_PARTS = 4
# The node's pairs of a batch and its scale, by the distributed dataset that was made of them.
_pairs: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def several_replicas(strategy: Any) -> bool:
    """Whether several replicas share a step, so that the sizes of their batches may differ."""
    return int(strategy.num_replicas_in_sync) > 1


def replicas_of_node(strategy: Any, nodes: int, batch_size: int) -> int:
    """Return the number of replicas among which a node divides its batches.

    Args:
        strategy: The strategy.
        nodes: Number of nodes that share the rows.
        batch_size: Number of rows in a full batch on this node.

    Raises:
        ConfigurationError: A batch has fewer rows than the node has replicas.
    """
    # Nodes that do not train synchronously have a strategy of one replica each.
    replicas = max(1, int(strategy.num_replicas_in_sync) // nodes)
    if batch_size < replicas:
        raise ConfigurationError(
            f"batch_size={batch_size} is too small for a node with {replicas} replicas, one on "
            f"each of its GPUs, because each needs a row of every batch; use {replicas} or more"
        )
    return replicas


def replicated(strategy: Any, dataset: Any, weighted: bool, shared: bool = True) -> Any:
    """Return this node's batches for the replicas of a synchronous strategy.

    With a single replica in the cluster, this is the dataset itself. Otherwise it is a distributed
    dataset that divides each batch among the node's replicas, such as GPUs.

    The distributed dataset is made from a function, because TensorFlow takes the batches of a plain
    dataset for global ones and splits them again. By default, TensorFlow would ask all nodes before
    every batch whether any node still has one, which takes longer than most batches. Nodes in
    lockstep know this without asking.

    Args:
        strategy: The strategy.
        dataset: The node's batches; with several replicas, pairs of a batch and its scale (see
            `Step.weight`).
        weighted: Whether batches end with the rows' weights. In custom loops, these are multiplied
            by the scale.
        shared: Whether nodes share the rows and train in step. If not, as on an evaluator, all
            methods of the dataset are allowed.
    """
    if not several_replicas(strategy):
        mark_own(dataset)
        if not shared:
            return dataset
        seen = with_shared_methods(dataset)
        mark_own(seen)
        return seen

    def with_function(function: Callable[..., Any], parallel_calls: Any = None) -> Any:
        def change(batch: Any, scale: Any) -> Any:
            return call_with(function, batch), scale

        mapped = dataset.map(change, parallel_calls, deterministic=parallel_calls and True)
        return replicated(strategy, mapped, weighted=True)

    def derive(change: Callable[[Any], Any]) -> Any:
        return replicated(strategy, change(dataset), weighted)

    pairs = _distribute(strategy, dataset, lambda parts: parts)
    seen = _distribute(
        strategy,
        dataset,
        lambda parts: parts.map(lambda batch, scale: _as_seen(batch, scale, weighted)),
    )
    mark_own(seen, ScaledDataset(pairs, with_function))
    add_methods(seen, derive, with_function)
    _pairs[seen] = dataset
    return seen


def local_batches(dataset: Any) -> Any:
    """Return this node's batches of a distributed dataset, or None if it is not a ctx dataset."""
    pairs = _pairs.get(dataset)
    return None if pairs is None else pairs.map(lambda batch, scale: batch)


def cut_batches(dataset: Any, parts: int) -> Any:
    """Return a dataset in which each batch is cut into a number of elements, in order.

    The parts of a batch differ by at most one row, and may be empty. Their scales compensate for
    this: the scaled mean over the parts equals the mean over the batch.

    Args:
        dataset: Pairs of a batch and its scale.
        parts: Number of parts of each batch.
    """
    import tensorflow as tf

    if parts == 1:
        return dataset

    def cut(batch: Any, scale: Any) -> Any:
        [first, *_] = tf.nest.flatten(batch)
        rows = tf.cast(
            first.nrows() if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0], tf.int64
        )

        def part(index: Any) -> Any:
            begin, end = rows * index // parts, rows * (index + 1) // parts
            share = tf.math.divide_no_nan(
                tf.cast((end - begin) * parts, tf.float32), tf.cast(rows, tf.float32)
            )
            values = tf.nest.map_structure(lambda value: _rows(value, begin, end, parts), batch)
            return values, scale * share

        return tf.data.Dataset.range(parts).map(part)

    return dataset.flat_map(cut).prefetch(_PREFETCHED_PARTS)


def _distribute(strategy: Any, dataset: Any, finish: Callable[[Any], Any]) -> Any:
    """Distribute the parts of a node's batches over its replicas, after a final function."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    extended = strategy.extended
    asks = extended.experimental_enable_get_next_as_optional
    extended.experimental_enable_get_next_as_optional = False  # read when a dataset is made

    def parts(context: Any) -> Any:
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        return finish(cut_batches(dataset, replicas)).with_options(options)

    try:
        return strategy.distribute_datasets_from_function(parts)
    finally:
        extended.experimental_enable_get_next_as_optional = asks


def _as_seen(batch: Any, scale: Any, weighted: bool) -> Any:
    """Return a batch as a custom loop gets it."""
    import tensorflow as tf

    if not (weighted and isinstance(batch, tuple) and len(batch) == 3):
        return batch
    x, y, weights = batch
    scaled = tf.nest.map_structure(lambda value: value * tf.cast(scale, value.dtype), weights)
    return x, y, scaled


def _rows(value: Any, begin: Any, end: Any, parts: int) -> Any:
    """Return some rows of a tensor, with their number in its shape if it is known."""
    import tensorflow as tf

    taken = value[begin:end]
    known = value.shape[0]
    if isinstance(taken, tf.RaggedTensor) or known is None or known % parts:
        return taken
    return tf.ensure_shape(taken, (known // parts, *value.shape[1:]))
