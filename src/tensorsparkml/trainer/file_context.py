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
    """The part of `Context` that makes datasets, and reads files for them."""

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
        """Return Parquet files as a dataset; each node reads its own share of them, without Spark.

        All nodes must call it, with the same arguments and in the same order. The shares differ by
        at most one row, and all nodes yield the same number of batches, as those of `dataset`.

        Args:
            uri: A file, a folder (whose folders such as `year=2024/` are columns), a glob, or
                several of them, on any filesystem that fsspec or pyarrow knows.
            batch_size: Rows of a batch on each node.
            global_batch_size: Instead of `batch_size`: rows of a batch on all nodes together.
            columns: What None for `features` stands for: the names of the columns, or None for
                all. Only columns that are used are read.
            features: The columns of `x`: a name, a sequence, a dict, a `Matrix`, or None for a dict
                of all columns that are neither label nor weight.
            label: The columns of `y`, in the same forms, except None: then there is only `x`.
            sample_weight: Name of a column of weights, or True for weights of 1, which make the
                steps of loops of the program's own exact.
            convert: How columns become tensors, by name.
            transform: A function applied to the tensors of each batch, as a graph.
            drop_remainder: Whether to leave out rows that do not fill a batch on every node.
            shuffle: Whether every pass has an order of its own. Row groups are shuffled over all
                nodes, and the rows within windows of `shuffle_rows`.
            seed: What the orders follow from: the same seed gives the same ones. None for others
                each time.
            shuffle_rows: Rows of a window, which are in memory twice.
            filesystem: A filesystem of fsspec or pyarrow on which `uri` is a path, where the one
                that the URI names needs other settings than the environment has.

        Returns:
            As `dataset`.

        Raises:
            ConfigurationError: No filesystem is known for the URI.
            EmptyFeedError: There are fewer rows than nodes.
            DataError: There are no files, one is not Parquet, they differ in a column, or a
                column does not exist or does not become tensors.
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
        """Return TFRecord files of `tf.train.Example`s as a dataset, as `read_parquet` does.

        All nodes must call it, with the same arguments and in the same order. Files may be
        compressed with gzip. First the nodes count the records, each those of some files; a file
        that is not local is copied to the node's spool, once.

        Args:
            uri: A file, a folder, a glob, or several of them.
            batch_size: Rows of a batch on each node.
            global_batch_size: Instead of `batch_size`: rows of a batch on all nodes together.
            schema: The features as `tf.io.parse_example` takes them, such as
                `{"image": tf.io.FixedLenFeature((784,), tf.float32)}`. None for those of the first
                record, each of fixed length.
            features: The columns of `x`, as in `read_parquet`.
            label: The columns of `y`, in the same forms, except None: then there is only `x`.
            sample_weight: Name of a column of weights, or True for weights of 1, which make the
                steps of loops of the program's own exact.
            drop_remainder: Whether to leave out rows that do not fill a batch on every node.
            shuffle: Whether every pass has a new order. Files are shuffled over all nodes, and the
                records within a buffer of `shuffle_rows`.
            seed: Seed of these orders; None for other orders in every run.
            shuffle_rows: Rows among which the next one is chosen.
            filesystem: As in `read_parquet`.

        Returns:
            As `dataset`.

        Raises:
            ConfigurationError: No filesystem is known for the URI.
            EmptyFeedError: There are fewer records than nodes.
            DataError: There are no files, one is no TFRecord file, or the features are others.
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

    @checked(layers=layers_to_adapt, dataset=tensorflow_object("what ctx.dataset returned"))
    def adapt(self, layers: Any, dataset: Any) -> None:
        """Let preprocessing layers learn from the rows of all nodes.

        What `layer.adapt(dataset)` does in one process: the layers learn from the batches of all
        nodes, those of a step as one batch, and have the same state on every node. All nodes must
        call it, with layers of the same kind and in the same order, and in
        `ctx.strategy.scope()` where the layers were made in it.

        ```python
        text = keras.layers.TextVectorization()
        ctx.adapt(text, ctx.dataset(batch_size=256, features="review"))
        ```

        Args:
            layers: A layer of Keras with a method `adapt`, which gets the dataset's elements; or a
                dict of layers, or several, which get what elements have under their names, or in
                their places. Each takes a pass over the dataset.
            dataset: What `dataset`, `read_parquet` or `read_tfrecord` returned, or its methods,
                such as `map`.

        Raises:
            ConfigurationError: Nodes that train through parameter servers share the rows, a node
                adapts other layers or has ended without the call, the dataset is another one, or
                its elements have nothing for a layer.
        """
        if self._hands_out_steps or (self._shares > 1 and not self._synchronous):
            raise ConfigurationError(
                "ctx.adapt does not work with parameter servers, where no worker sees the rows of "
                "the others; adapt the layers in a cluster without them, or give them their "
                "vocabulary or statistics when they are made"
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
                "ctx.adapt takes what ctx.dataset, ctx.read_parquet or ctx.read_tfrecord returned, "
                f"not another {type(dataset).__name__}"
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
