"""The methods of the context for datasets that do not depend on the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tensorsparkml.checks import checked, optional, some_names
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.spool.shuffle import WINDOW_ROWS
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.storage import StrPath
from tensorsparkml.trainer.all_gather import Exchange
from tensorsparkml.trainer.argument_checks import (
    FILES,
    LABELS,
    LAYOUT,
    layers_to_adapt,
    record_schema,
    size_on_node,
    tensorflow_object,
)
from tensorsparkml.trainer.datasets.adaptation import (
    AllGather,
    all_gather_of,
    check_same,
    of_all_nodes,
    parts,
)
from tensorsparkml.trainer.datasets.file_reader import FileReader
from tensorsparkml.trainer.datasets.replicas import (
    local_batches,
    replicas_of_node,
    replicated,
    several_replicas,
)
from tensorsparkml.trainer.datasets.source import Source
from tensorsparkml.trainer.datasets.tf_dataset import (
    BatchLayout,
    Columns,
    local_dataset,
    transformed,
)
from tensorsparkml.trainer.datasets.tfrecord_dataset import tfrecord_dataset
from tensorsparkml.trainer.node_files import NodeFiles
from tensorsparkml.trainer.repairs.model_guard import name_features
from tensorsparkml.trainer.strategy_context import StrategyContext, on_workers


class FileContext(StrategyContext):
    """The part of `Context` that reads files and creates datasets."""

    _exchange: Exchange
    _files: NodeFiles
    _share: int  # place among the nodes that share what is read
    _adapted: int = 0  # calls of adapt
    _data_errors: list[DataError]  # that TensorFlow wraps, beyond recognition, in its own

    @checked(columns=optional(some_names), **FILES, **LAYOUT)
    @on_workers
    def read_parquet(
        self,
        uri: StrPath | Sequence[StrPath],
        *,
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        columns: Sequence[str] | None = None,
        features: Columns | None = None,
        label: Columns | None = None,
        sample_weight: str | bool | None = None,
        convert: Mapping[str, Column] | None = None,
        transform: Callable[..., Any] | None = None,
        drop_remainder: bool = False,
        shuffle: bool = False,
        seed: int | None = None,
        shuffle_rows: int = WINDOW_ROWS,
        filesystem: Any = None,
    ) -> Any:
        """Return Parquet files as a dataset; each node reads its own share, without Spark.

        All nodes must call it, with the same arguments and in the same order. Shares differ by at
        most one row, and all nodes yield the same number of batches.

        Args:
            uri: A file, a folder, a glob, or several of these, on any filesystem that fsspec or
                pyarrow supports. Subfolders such as `year=2024/` become columns.
            batch_size: Number of rows in a batch on each node.
            global_batch_size: Instead of `batch_size`: number of rows in a batch over all nodes.
            columns: Names of the columns that `features=None` selects; None for all columns. Only
                columns that are used are read.
            features: The columns of `x`: a name, a sequence, a dict, a `Matrix`, or None for a dict
                of all columns that are neither label nor weight.
            label: The columns of `y`, in the same forms. None gives elements without `y`.
            sample_weight: Name of a column of weights, or True for weights of 1; see `dataset`.
            convert: How columns become tensors, by name; see `dataset`.
            transform: A function applied to each batch as a graph; see `dataset`.
            drop_remainder: Whether to leave out rows that do not fill a batch on every node.
            shuffle: Whether each pass has a new order. Row groups are shuffled over all nodes, and
                rows within windows of `shuffle_rows`.
            seed: Seed of these orders; None for other orders in every run.
            shuffle_rows: Number of rows in a window, which takes their memory twice.
            filesystem: An fsspec or pyarrow filesystem on which `uri` is a path, if the default one
                needs other settings than the environment has.

        Returns:
            A dataset, as from `dataset`.

        Raises:
            ConfigurationError: No filesystem is known for the URI.
            EmptyFeedError: There are fewer rows than nodes.
            DataError: There are no files, a file is not Parquet, files differ in a column, or a
                column does not exist or cannot become a tensor.
        """
        size = self._size_on_node(batch_size, global_batch_size)
        layout = BatchLayout(features, label, sample_weight)
        names = layout.columns()
        if names is None and columns is not None:
            names = [*columns, *layout.named()]
        how = self._files.shuffle(shuffle, seed, shuffle_rows)
        reporter = self._files.new_reporter()
        files = self._files.parquet(uri, filesystem)
        source = FileReader(
            files,
            self._share,
            self._shares,
            columns=names,
            convert=convert,
            shuffle=how,
            reporter=reporter,
        )
        return self._distributed(source, layout, convert or {}, size, drop_remainder, transform)

    @checked(schema=optional(record_schema), **FILES, **LABELS)
    @on_workers
    def read_tfrecord(
        self,
        uri: StrPath | Sequence[StrPath],
        *,
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        schema: Mapping[str, Any] | None = None,
        features: Columns | None = None,
        label: Columns | None = None,
        sample_weight: str | bool | None = None,
        drop_remainder: bool = False,
        shuffle: bool = False,
        seed: int | None = None,
        shuffle_rows: int = WINDOW_ROWS,
        filesystem: Any = None,
    ) -> Any:
        """Return TFRecord files of `tf.train.Example`s as a dataset; see `read_parquet`.

        All nodes must call it, with the same arguments and in the same order. Files may be
        compressed with gzip or zlib. The nodes first count the records, each in some of the files.
        Files that are not local are copied once to the node's spool.

        Args:
            uri: A file, a folder, a glob, or several of these.
            batch_size: Number of rows in a batch on each node.
            global_batch_size: Instead of `batch_size`: number of rows in a batch over all nodes.
            schema: The features for `tf.io.parse_example`, such as
                `{"image": tf.io.FixedLenFeature((784,), tf.float32)}`. None takes the features of
                the first record, with their lengths.
            features: The columns of `x`, as in `read_parquet`.
            label: The columns of `y`, in the same forms. None gives elements without `y`.
            sample_weight: Name of a column of weights, or True for weights of 1; see `dataset`.
            drop_remainder: Whether to leave out rows that do not fill a batch on every node.
            shuffle: Whether each pass has a new order. Files are shuffled over all nodes, and
                records within a buffer of `shuffle_rows`.
            seed: Seed of these orders; None for other orders in every run.
            shuffle_rows: Number of rows in the shuffle buffer.
            filesystem: As in `read_parquet`.

        Returns:
            A dataset, as from `dataset`.

        Raises:
            ConfigurationError: No filesystem is known for the URI.
            EmptyFeedError: There are fewer records than nodes.
            DataError: There are no files, a file is not a TFRecord file, or the records do not have
                the features.
        """
        size = self._size_on_node(batch_size, global_batch_size)
        layout = BatchLayout(features, label, sample_weight)
        strategy = self.strategy  # before the first operation, which making a dataset is
        how = self._files.shuffle(shuffle, seed, shuffle_rows)
        reporter = self._files.new_reporter()
        files = self._files.tfrecord(uri, filesystem)
        local = tfrecord_dataset(
            files,
            self._share,
            self._shares,
            layout=layout,
            schema=schema,
            batch_size=size,
            drop_remainder=drop_remainder,
            shuffle=how,
            reporter=reporter,
            least=replicas_of_node(strategy, self._shares, size),
            scaled=several_replicas(strategy),
        )
        dataset = replicated(strategy, local, layout.weight is not None, self._in_step)
        name_features(dataset, layout.several_features)
        return dataset

    @checked(layers=layers_to_adapt, dataset=tensorflow_object("a dataset from ctx.dataset"))
    def adapt(self, layers: Any, dataset: Any) -> None:
        """Let preprocessing layers learn from the rows of all nodes.

        Does what `layer.adapt(dataset)` does in one process. The layers learn from the batches of
        all nodes, step by step, and get the same state on every node. All nodes must call it, with
        layers of the same kinds and in the same order. If the layers were created in
        `ctx.strategy.scope()`, call it there too.

        ```python
        text = keras.layers.TextVectorization()
        ctx.adapt(text, ctx.dataset(batch_size=256, features="review"))
        ```

        Args:
            layers: A Keras layer with a method `adapt`, which gets the dataset's elements; or a
                dict or list of layers, each of which gets the part of the elements with its name or
                position. Each layer makes a pass over the dataset.
            dataset: A dataset from `dataset`, `read_parquet` or `read_tfrecord`, or from its
                methods, such as `map`.

        Raises:
            ConfigurationError: The cluster has parameter servers; a node adapts other layers, or
                has ended without this call; the dataset is of another kind; or its elements have no
                part for a layer.
        """
        if self._hands_out_steps or (self._shares > 1 and not self._synchronous):
            raise ConfigurationError(
                "ctx.adapt does not work with parameter servers, because no worker sees the rows "
                "of the others; adapt the layers in a cluster without parameter servers, or pass "
                "them their vocabulary or statistics when you create them"
            )
        if self._shares > 1:
            self._adapted += 1
            check_same(layers, self._gather_layers)
        import tensorflow as tf

        local = None
        if isinstance(dataset, tf.distribute.DistributedDataset):
            local = local_batches(dataset)
        elif isinstance(dataset, tf.data.Dataset) and self._shares == 1:
            local = dataset
        if local is None:
            raise ConfigurationError(
                "ctx.adapt needs a dataset from ctx.dataset, ctx.read_parquet or "
                f"ctx.read_tfrecord, not another {type(dataset).__name__}"
            )
        for layer, part in parts(layers, local):
            if self._shares > 1:
                part = of_all_nodes(part, self._shares, self._all_gather)
            layer.adapt(part)

    def _size_on_node(self, batch_size: int | None, global_batch_size: int | None) -> int:
        return size_on_node(batch_size, global_batch_size, self._shares, in_step=not self.num_ps)

    def _gather_layers(self, names: list[str]) -> list[list[str]]:
        rule = "make the same calls of ctx.adapt, in the same order"
        return self._exchange.all_gather(f"adapt {self._adapted}", names, "the call", rule)

    @cached_property
    def _all_gather(self) -> AllGather:
        return all_gather_of(self.strategy, self._shares)

    def _distributed(
        self,
        source: Source,
        layout: BatchLayout,
        convert: Mapping[str, Column],
        batch_size: int,
        drop_remainder: bool,
        transform: Callable[..., Any] | None,
    ) -> Any:
        strategy = self.strategy  # before the first operation, which making a dataset is
        scaled, on_error = several_replicas(strategy), self._data_errors.append
        local = local_dataset(
            source,
            layout,
            convert,
            batch_size,
            drop_remainder,
            on_error,
            least=replicas_of_node(strategy, self._shares, batch_size),
            scaled=scaled,
        )
        local = transformed(local, transform, scaled=scaled)
        dataset = replicated(strategy, local, layout.weight is not None, self._in_step)
        if transform is None:  # which may have made other features of them
            name_features(dataset, layout.several_features)
        return dataset
