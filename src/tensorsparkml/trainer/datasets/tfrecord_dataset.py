"""TFRecord files as a `tf.data` dataset: TensorFlow reads, shuffles, cuts and parses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tensorsparkml.control.feeds.lockstep import ClosedFeed, PassPlan, plan_pass
from tensorsparkml.data.files.sharding import share
from tensorsparkml.data.files.tfrecord import TFRecordFiles
from tensorsparkml.data.spool.shuffle import shuffled, window_seed
from tensorsparkml.errors import DataError
from tensorsparkml.trainer.datasets.file_reader import Shuffle
from tensorsparkml.trainer.datasets.progress_reporter import ProgressReporter
from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout
from tensorsparkml.trainer.datasets.tfrecord_features import ParsedFeatures

_PREFETCHED_BATCHES = 4
_BUFFER_BYTES = 2**20
_FILES_AHEAD = 1  # that are copied, where they are far away, while others are read
_COUNTED_AT_ONCE = 4096


def tfrecord_dataset(
    files: TFRecordFiles,
    rank: int,
    nodes: int,
    *,
    layout: BatchLayout,
    schema: Mapping[str, Any] | None,
    batch_size: int,
    drop_remainder: bool,
    shuffle: Shuffle | None,
    reporter: ProgressReporter,
    least: int = 1,
    scaled: bool = False,
) -> Any:
    """Return a `tf.data.Dataset` of this node's batches; each iteration is one pass.

    Args:
        files: The files.
        rank: Rank of this node.
        nodes: Number of nodes.
        layout: The columns of an element.
        schema: The features for `tf.io.parse_example`, or None for those of the first record.
        batch_size: Number of rows in a full batch on this node.
        drop_remainder: Whether to yield only full batches.
        shuffle: How to shuffle, or None.
        reporter: Counts the rows that are read: all rows of a pass when it begins.
        least: Number of rows that every batch has at least; see `PassCursor`.
        scaled: Whether elements are pairs of a batch and its scale (see `Step.weight`).

    Raises:
        EmptyFeedError: A node has fewer records than `least`, or no batch is full.
        DataError: The first record does not have the features of the schema.
    """
    import tensorflow as tf

    feed = ClosedFeed(files.rows, nodes, files.share_rows)
    feed.require(least, files.name)
    if drop_remainder:
        feed.require_full_batch(batch_size, files.name)
    features = ParsedFeatures(files, layout, schema)
    layout.resolve(features.single)
    plan = plan_pass(feed, batch_size, drop_remainder, least)
    epoch = 0

    def one_pass() -> Iterator[Any]:
        nonlocal epoch
        number, epoch = epoch, epoch + 1
        parts = files.parts if shuffle is None else shuffled(files.parts, shuffle.seed, number)
        pieces = share(parts, nodes, rank)
        seed = 0 if shuffle is None else window_seed(shuffle.seed, number, rank)
        columns = np.array([(piece.file, piece.first, piece.rows) for piece in pieces], np.int64)
        reporter.read(plan.rows)
        yield seed, columns

    def located(index: Any) -> Any:
        return files.local_path(int(index)).encode(), files.compression(int(index)).encode()

    def with_path(piece: Any) -> Any:
        path, compression = tf.numpy_function(located, [piece[0]], (tf.string, tf.string))
        return tf.ensure_shape(path, ()), tf.ensure_shape(compression, ()), piece[1], piece[2]

    def records_of(path: Any, compression: Any, first: Any, rows: Any) -> Any:
        return tf.data.TFRecordDataset(path, compression, _BUFFER_BYTES).skip(first).take(rows)

    def records(seed: Any, pieces: Any) -> Any:
        found = tf.data.Dataset.from_tensor_slices(pieces).map(with_path).prefetch(_FILES_AHEAD)
        found = found.flat_map(records_of)
        if shuffle is not None:
            found = found.shuffle(shuffle.rows, seed=seed, reshuffle_each_iteration=False)
        return found.take(plan.rows)

    def element(serialized: Any, *scale: Any) -> Any:
        columns = features.parse(serialized)
        if isinstance(layout.weight, str):
            weights = tf.cast(columns[layout.weight], tf.float32)
        else:
            weights = tf.ones(tf.shape(serialized))
        made = layout.arrange(columns, weights)
        return (made, *scale) if scale else made

    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((None, 3), tf.int64))
    dataset = tf.data.Dataset.from_generator(one_pass, output_signature=signature)
    dataset = dataset.flat_map(records).apply(tf.data.experimental.assert_cardinality(plan.rows))
    dataset = _cut(dataset.batch(batch_size), plan, drop_remainder)
    if scaled:
        scales = np.array([1.0] * plan.full + [step.weight for step in plan.last], np.float32)
        dataset = tf.data.Dataset.zip(dataset, tf.data.Dataset.from_tensor_slices(scales))
    return dataset.map(element, num_parallel_calls=2).prefetch(_PREFETCHED_BATCHES)


def find_corrupt_record(files: TFRecordFiles) -> DataError | None:
    """Find the record with a wrong checksum; TensorFlow does not name its file."""
    import tensorflow as tf

    for part in files.parts:
        path, compression = files.local_path(part.file), files.compression(part.file)
        dataset, count = tf.data.TFRecordDataset(path, compression, _BUFFER_BYTES), 0
        try:
            for batch in dataset.batch(_COUNTED_AT_ONCE):
                count += len(batch)
            continue
        except tf.errors.DataLossError:
            pass
        try:
            for _ in dataset.skip(count):
                count += 1
        except tf.errors.DataLossError as error:
            return DataError(
                f"{files.path(part.file)} is corrupt at record {count} (the first is 0): "
                f"{error.message}"
            )
    return None


def _cut(dataset: Any, plan: PassPlan, drop_remainder: bool) -> Any:
    """Regroup batches of any size into the batches of a pass.

    Args:
        dataset: The rows in batches of any size; their total number must match the plan.
        plan: The steps of the pass.
        drop_remainder: Whether all batches are full, so that their shape has the number of rows.
    """
    # All of one size but a smaller last one, unless the steps are dealt so that all have rows.
    last = [step.rows for step in plan.last]
    if all(rows == plan.size for rows in last[:-1]) and max(last, default=0) <= plan.size:
        return dataset.rebatch(plan.size, drop_remainder=drop_remainder)
    return dataset.rebatch(np.array([plan.size] * plan.full + last, np.int64))
