"""A node's batches for its replicas, of which it has one on each of its GPUs."""

from __future__ import annotations

from typing import Any

__all__ = ["cut_batches", "replicated"]

_PREFETCHED_PARTS = 4


def replicated(strategy: Any, dataset: Any, weighted: bool) -> Any:
    """Return this node's batches for the replicas of a synchronous strategy.

    With one replica in all, that is the dataset itself; otherwise a distributed dataset, in which
    each batch is cut into as many parts as the node has replicas, such as GPUs.

    Made from a function, because TensorFlow takes the batches of a plain dataset for global ones
    and splits them again. Before every batch TensorFlow would ask all nodes whether any still has
    one, which costs more than most batches; nodes in lockstep know it without asking.

    Args:
        strategy: The strategy.
        dataset: The node's batches.
        weighted: Whether its elements end with the rows' weights.
    """
    import tensorflow as tf

    if strategy.num_replicas_in_sync == 1:
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    extended = strategy.extended
    asks = extended.experimental_enable_get_next_as_optional
    extended.experimental_enable_get_next_as_optional = False  # read when a dataset is made

    def parts(context: Any) -> Any:
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        return cut_batches(dataset, replicas, weighted).with_options(options)

    try:
        return strategy.distribute_datasets_from_function(parts)
    finally:
        extended.experimental_enable_get_next_as_optional = asks


def cut_batches(dataset: Any, parts: int, weighted: bool) -> Any:
    """Return a dataset with that many elements for each batch: its rows, in their order.

    The parts of a batch differ by one row at most, and may be empty. Weights, if there are any,
    make up for it: the mean over the parts is that over the batch.
    """
    import tensorflow as tf

    if parts == 1:
        return dataset

    def cut(*batch: Any) -> Any:
        [first, *_] = tf.nest.flatten(batch)
        rows = tf.cast(
            first.nrows() if isinstance(first, tf.RaggedTensor) else tf.shape(first)[0], tf.int64
        )

        def part(index: Any) -> Any:
            begin, end = rows * index // parts, rows * (index + 1) // parts
            values = tf.nest.map_structure(lambda value: _rows(value, begin, end, parts), batch)
            if weighted:
                share = tf.math.divide_no_nan(
                    tf.cast((end - begin) * parts, tf.float32), tf.cast(rows, tf.float32)
                )
                values = (*values[:-1], values[-1] * share)
            return values if len(values) > 1 else values[0]

        return tf.data.Dataset.range(parts).map(part)

    return dataset.flat_map(cut).prefetch(_PREFETCHED_PARTS)


def _rows(value: Any, begin: Any, end: Any, parts: int) -> Any:
    """Return some rows of a tensor, with their number in its shape where that is known."""
    import tensorflow as tf

    taken = value[begin:end]
    known = value.shape[0]
    if isinstance(taken, tf.RaggedTensor) or known is None or known % parts:
        return taken
    return tf.ensure_shape(taken, (known // parts, *value.shape[1:]))
