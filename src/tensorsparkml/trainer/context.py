"""`Context`: the second argument of main, with the properties and services of its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorsparkml.checks import checked, integer, optional, path, seconds, switch
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.names import COPIES, feed_name
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.tf_config import addresses, cluster_spec
from tensorsparkml.data.columns.checks import conversions, selection
from tensorsparkml.data.columns.options import Column, Selection, selected
from tensorsparkml.errors import ConfigurationError, DataError
from tensorsparkml.program.keras_versions import is_of_keras_2
from tensorsparkml.roles import CHIEF, PARAMETER_SERVER, WORKER
from tensorsparkml.storage import StrPath, absolute_path, write_directory
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.all_gather import Exchange
from tensorsparkml.trainer.argument_checks import LAYOUT, tensorflow_object
from tensorsparkml.trainer.datasets.data_feed import DataFeed
from tensorsparkml.trainer.datasets.feed_source import Feed
from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout, Columns
from tensorsparkml.trainer.epoch_report import epoch_report
from tensorsparkml.trainer.file_context import FileContext
from tensorsparkml.trainer.inference.batches import Inference
from tensorsparkml.trainer.node_files import NodeFiles
from tensorsparkml.trainer.strategy_context import on_workers


@dataclass(frozen=True)
class Settings:
    """What the agent tells its trainer.

    Attributes:
        agent: Flight location of the agent's Unix socket.
        coordinator: Flight location of the coordinator.
        credentials: Credentials for this node's calls.
        datasets_key: Key with which the chief and the workers sign the datasets that they exchange.
        peers: All nodes by rank.
        rank: Rank of this node.
        agent_process: Process id of the agent.
        lease_seconds: Heartbeat timeout.
        readers: Number of nodes that share the feeds; these are the first ones.
        serves: Whether this node runs TensorFlow's server instead of main.
        default_fs: Hadoop's default filesystem.
        working_dir: The driver's working directory.
        log_dir: Folder for logs and event files.
        spool_dir: Folder that the agent deletes when the cluster ends.
    """

    agent: str
    coordinator: str
    credentials: Credentials
    datasets_key: str
    peers: tuple[Peer, ...]
    rank: int
    agent_process: int
    lease_seconds: float
    readers: int
    serves: bool
    default_fs: str
    working_dir: str
    log_dir: str
    spool_dir: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Settings:
        """Return the settings that the agent wrote."""
        peers = tuple(Peer(**peer) for peer in body["peers"])
        credentials = Credentials(**body["credentials"])
        return cls(**{**body, "peers": peers, "credentials": credentials})


class Context(FileContext):
    """A program's view of its node.

    Attributes:
        role: `chief`, `worker`, `evaluator` or `ps`.
        task_index: Index of the node among the nodes of its role, from 0.
        rank: Index of the node among all nodes, from 0.
        num_workers: Number of nodes that train, the chief included.
        num_ps: Number of parameter servers.
        is_chief: Whether this node is the chief, which writes files.
        cluster_spec: Addresses of the nodes' TensorFlow servers by role, as in TF_CONFIG, without
            the evaluator's.
        addresses: Address of each node's TensorFlow server, by the node's name (`worker:0`).
        default_fs: Hadoop's default filesystem, such as `hdfs://nameservice` or `file:///`.
        working_dir: The driver's working directory.
        log_dir: Local folder for event files and logs. If the cluster's `log_dir` is a URI, the
            agent copies the files there.
    """

    def __init__(self, settings: Settings, agent: AgentClient) -> None:
        node = settings.peers[settings.rank]
        self.role = node.role
        self.task_index = node.task_index
        self.rank = settings.rank
        self.num_workers = sum(peer.role in (CHIEF, WORKER) for peer in settings.peers)
        self.num_ps = sum(peer.role == PARAMETER_SERVER for peer in settings.peers)
        self.is_chief = node.role == CHIEF
        self.cluster_spec = cluster_spec(settings.peers)
        self.addresses = addresses(settings.peers)
        self.default_fs = settings.default_fs
        self.working_dir = settings.working_dir
        self.log_dir = settings.log_dir
        self._agent = agent
        self._datasets_key = settings.datasets_key
        # An evaluator reads files alone.
        self._shares = settings.readers if self.rank < settings.readers else 1
        self._share = self.rank if self.rank < settings.readers else 0
        self._reads_feeds = self.rank < settings.readers
        self._exchange = Exchange(
            settings.coordinator, settings.credentials, self._share, self._shares
        )
        self._files = NodeFiles(
            self._exchange,
            self._share,
            self._shares,
            self.absolute_path,
            Path(settings.spool_dir) / COPIES,
        )
        self._feeds: dict[str, Feed] = {}
        self._data_errors = []

    @checked(feed=feed_name, **LAYOUT)
    @on_workers
    def dataset(
        self,
        feed: str = "train",
        *,
        batch_size: int | None = None,
        global_batch_size: int | None = None,
        features: Columns | None = None,
        label: Columns | None = None,
        sample_weight: str | bool | None = None,
        convert: Mapping[str, Column] | None = None,
        transform: Callable[..., Any] | None = None,
        drop_remainder: bool = False,
    ) -> Any:
        """Return a feed as a dataset for `model.fit`, `evaluate`, `predict` or a custom loop.

        Each iteration is one pass over the feed. Every node yields the same number of batches, and
        each row is in exactly one batch of one node. Waits for the feed's first rows.

        Args:
            feed: Name of the feed.
            batch_size: Number of rows in a batch on each node, over all GPUs of the node. One
                process with batches of `num_workers * batch_size` rows computes the same.
            global_batch_size: Instead of `batch_size`: number of rows in a batch over all nodes, a
                multiple of their number. One process with batches of this size computes the same.
            features: The columns of `x`: a column name or a `tsm.Matrix`; a sequence of these,
                which becomes a tuple; a dict from the names of the model's inputs to these; or None
                for a dict of all columns that are neither label nor weight. A struct becomes a dict
                of its fields; `person.age` names one field.
            label: The columns of `y`, in the same forms. None gives elements without `y`.
            sample_weight: Column of weights, or True for weights of 1. They make the steps of Keras
                2 and of custom loops exact when the nodes' batches differ in size: the dataset
                scales the weights by the rows of the batch. Keras 3 needs no weights for this.
            convert: How columns become tensors, if not by default, such as
                `{"image": tsm.Column(shape=(28, 28, 1), dtype="float32")}`.
            transform: A function that `tf.data.Dataset.map` applies to each batch. It gets `x`, or
                `x` and `y`, or `x`, `y` and the weights, and returns the element that the dataset
                yields instead. It must not change the number of rows.
            drop_remainder: Whether to leave out rows that do not fill a batch on every node: fewer
                than `num_workers * batch_size` in each pass. Batches then have a fixed shape.

        Returns:
            A `tf.data.Dataset`, or a `tf.distribute.DistributedDataset` with several nodes. With
            parameter servers, the chief gets a `tf.data.Dataset` that represents the workers'
            datasets; only the workers' steps can read it. Elements are `x`, `(x, y)` or
            `(x, y, sample_weight)`. Without `drop_remainder` the last batch of a pass may be
            smaller, but no replica's batch is empty. If full batches have one row for each replica,
            the last batch may have two.

        Raises:
            EmptyFeedError: The feed has fewer rows than there are replicas on all nodes.
            DataError: A column does not exist, or its values cannot become tensors.
        """
        size = self._size_on_node(batch_size, global_batch_size)
        layout = BatchLayout(features, label, sample_weight)
        source = self._feed(feed).resolve(layout.columns(), convert or {})
        return self._distributed(source, layout, convert or {}, size, drop_remainder, transform)

    @checked(feed=feed_name, columns=optional(selection), convert=conversions)
    def feed(
        self,
        feed: str = "train",
        *,
        columns: Selection | None = None,
        convert: Mapping[str, Column] | None = None,
    ) -> DataFeed:
        """Return a feed that the program reads batch by batch, as NumPy arrays.

        Args:
            feed: Name of the feed.
            columns: Names of the columns; a dict from names for the arrays to columns and matrices;
                or None for all columns.
            convert: As in `dataset`.
        """
        chosen = selected(columns)
        wanted = None if chosen is None else list(chosen.values())
        return DataFeed(self._feed(feed).source(wanted, convert or {}), chosen, convert or {})

    @checked(
        feed=feed_name,
        batch_size=integer(1),
        columns=optional(selection),
        convert=conversions,
    )
    def inference(
        self,
        feed: str = "inference",
        *,
        batch_size: int,
        columns: Selection | None = None,
        convert: Mapping[str, Column] | None = None,
    ) -> Inference:
        """Return the batches that `cluster.inference` sends to this node.

        Reply to each batch before you take the next one. Nodes work independently of each other.
        The iteration ends when the driver leaves the cluster's with block.

        ```python
        for batch in ctx.inference(batch_size=256, columns=["image"]):
            batch.reply({"prediction": model.predict_on_batch(batch["image"])})
        ```

        Args:
            feed: The name given to `cluster.inference`.
            batch_size: Number of rows in a batch. All rows of a batch come from one Spark
                partition, and the last batch of a partition may be smaller.
            columns: As in `feed`; None for all columns except those that `keep` names.
            convert: As in `dataset`.
        """
        return Inference(self._agent, feed, batch_size, selected(columns), convert or {})

    @checked(checkpoint=optional(path), backup=optional(path), tensorboard=switch)
    def callbacks(
        self,
        *,
        checkpoint: StrPath | None = None,
        backup: StrPath | None = None,
        tensorboard: bool = False,
    ) -> list[Any]:
        """Return Keras callbacks that write files on the chief only.

        Args:
            checkpoint: File to save the model to after every epoch; may contain `{epoch}`.
            backup: Folder for the state of training. After a restart, `fit` continues from there on
                all nodes, which must all see the folder.
            tensorboard: Whether to write event files to `log_dir`.

        Returns:
            The requested callbacks, and one that reports every epoch to the driver. For more
            settings see `tensorsparkml.trainer.callbacks`.
        """
        from tensorsparkml.trainer import callbacks as keras_callbacks

        wanted = [epoch_report(self._agent.report, self._rows_read)] if self.is_chief else []
        if checkpoint is not None:
            wanted.append(
                keras_callbacks.model_checkpoint(self.is_chief, self.absolute_path(checkpoint))
            )
        if backup is not None:
            wanted.append(
                keras_callbacks.backup_and_restore(self.is_chief, self.absolute_path(backup))
            )
        if tensorboard:
            wanted.append(keras_callbacks.tensorboard(self.is_chief, self.log_dir))
        return wanted

    @checked(model=tensorflow_object("a Keras model or a tf.Module"), uri=path)
    def export(self, model: Any, uri: StrPath) -> str:
        """Write a model as a SavedModel on the chief; on other nodes this writes nothing.

        Args:
            model: A Keras model, or a `tf.Module`.
            uri: Folder to write, local or on any filesystem that fsspec supports. An existing
                folder is replaced.

        Returns:
            The folder as an absolute path or URI, on every node.
        """
        target = self.absolute_path(uri)
        if self.is_chief:
            write_directory(target, lambda path: _save(model, path))
        return target

    @checked(wait_seconds=seconds)
    def training_ended(self, wait_seconds: float = 0.0) -> bool:
        """Return whether all nodes that train have returned from main; for an evaluator.

        An evaluator that calls this may finish its work after training has ended, and must return
        when the result is True. To see the last checkpoint, call this before you look for one. One
        second after training has ended, or after the evaluator's own main has begun if that is
        later, an evaluator that has never called this is ended.

        Args:
            wait_seconds: How long to wait for the end of training.
        """
        return self._agent.training_ended(wait_seconds)

    @checked(path=path)
    def absolute_path(self, path: StrPath) -> str:
        """Return a path that every node and the driver can use; see `storage.absolute_path`."""
        return absolute_path(path, self.default_fs, self.working_dir)

    def _explain(self, error: BaseException) -> DataError | None:
        """Return the data error behind an error of TensorFlow, or None if there is none."""
        # Only for errors of TensorFlow: the program may have gone on after an earlier data error.
        if not type(error).__module__.startswith("tensorflow."):
            return None
        return self._data_errors[-1] if self._data_errors else self._files.explain(error)

    def _feed(self, name: str) -> Feed:
        if self._hands_out_steps:
            raise ConfigurationError(
                f"the rows of feed {name!r} are on the workers, but the program runs on the chief; "
                "read them in the workers' steps, with ctx.dataset(...), or use between_graph=True"
            )
        if not self._reads_feeds:
            raise ConfigurationError(
                f"the {self.role} has no share of feed {name!r}, because only nodes that train "
                "have one; read files here, with ctx.read_parquet(...) or ctx.read_tfrecord(...)"
            )
        if name not in self._feeds:
            self._feeds[name] = Feed(
                self._agent, name, self._share, self._shares, self._files.parquet
            )
        return self._feeds[name]

    def _report_progress(self) -> None:
        """Tell the agent how far the program has read its feeds."""
        for feed in self._feeds.values():
            feed.report()

    def _rows_read(self) -> int:
        rows = sum(feed.rows_read for feed in self._feeds.values())
        return (rows + self._files.rows_read) * self._shares + self._rows_of_workers


def _save(model: Any, path: str) -> None:
    import tensorflow as tf

    if is_of_keras_2(type(model)):
        model.export(path)
    elif hasattr(model, "export"):
        model.export(path, verbose=False)
    else:
        tf.saved_model.save(model, path)
