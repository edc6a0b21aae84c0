"""`Context`: the second argument of main, with the facts and services of its node."""

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
from tensorsparkml.trainer.repairs.keras_versions import is_of_keras_2
from tensorsparkml.trainer.strategy_context import on_workers


@dataclass(frozen=True)
class Settings:
    """What the agent tells its trainer.

    Attributes:
        agent: Flight location of the agent's Unix socket.
        coordinator: Flight location of the coordinator.
        credentials: What this node's calls carry.
        datasets_key: With what the chief and the workers sign datasets for each other.
        peers: All nodes by rank.
        rank: Rank of this node.
        agent_process: Process id of the agent.
        lease_seconds: Heartbeat timeout.
        readers: How many nodes, the first ones, share the feeds.
        serves: Whether this node runs TensorFlow's server, and not main.
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
    """A node as its main sees it.

    Attributes:
        role: `chief`, `worker`, `evaluator` or `ps`.
        task_index: Place of the node among the nodes of its role, from 0.
        rank: Place of the node among all nodes, from 0.
        num_workers: Number of nodes that train, the chief included.
        num_ps: Number of parameter servers.
        is_chief: Whether this node is the one that writes.
        cluster_spec: Addresses of the nodes' TensorFlow servers by role, as in TF_CONFIG. An
            evaluator is not among them.
        addresses: Address for the TensorFlow server of each node, by name (`worker:0`).
        default_fs: Hadoop's default filesystem, such as `hdfs://nameservice` or `file:///`.
        working_dir: The driver's working directory.
        log_dir: Local folder for event files and logs; where the cluster's is a URI, the agent
            copies what is in it there.
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

        Each iteration is one pass over what was fed. Every node yields the same number of batches,
        and each row is in exactly one batch of one node. Waits for the feed's first rows.

        Args:
            feed: Name of the feed.
            batch_size: Rows of a batch on each node (with several GPUs in a node, on all of them).
                One process with `num_workers * batch_size` rows a batch computes the same.
            global_batch_size: Instead of `batch_size`: rows of a batch on all nodes together, a
                multiple of their number. One process with batches of this size computes the same.
            features: A column, or many as one `tsm.Matrix`; several, which become a tuple; a
                mapping from the names of the model's inputs to them; or None for a dict of all
                columns that are nothing else. A struct becomes a dict of its fields; one of them
                is named as `person.age`.
            label: The same for the targets; None for elements without them.
            sample_weight: Column of the rows' weights, or True for weights of 1. Where the nodes'
                batches differ in size, loops of the program's own, and Keras 2, get them scaled, so
                that the step counts as in one process. In Keras 3 it always does.
            convert: How columns become tensors, where the default is not wanted, such as
                `{"image": tsm.Column(shape=(28, 28, 1), dtype="float32")}`.
            transform: Gets the tensors of a batch, `x`, or `x` and `y`, or `x`, `y` and
                `sample_weight` as its arguments, and returns what the dataset yields instead, as
                in `tf.data.Dataset.map`. It may change everything but the number of rows.
            drop_remainder: Leave out the rows that do not fill a batch on every node: fewer than
                `num_workers * batch_size` a pass. Batches then have a fixed shape.

        Returns:
            A `tf.data.Dataset`, or a `tf.distribute.DistributedDataset` where there are several
            nodes. With parameter servers, the chief gets a `tf.data.Dataset` that stands for those
            of the workers, and can be read in their steps alone. Elements are `x`, `(x, y)` or
            `(x, y, sample_weight)`; without `drop_remainder` the last batch of a pass may be
            smaller. No replica's batch is empty: where full batches have one row for each, the last
            may have two.

        Raises:
            EmptyFeedError: The feed has fewer rows than there are nodes, or replicas on them.
            DataError: A column does not exist, or its values do not become tensors.
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
        """Return a feed to be read batch by batch.

        Args:
            feed: Name of the feed.
            columns: Names of the columns; a mapping from the names that a batch's arrays get to
                columns and matrices; or None for all.
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
        """Return the batches that `cluster.inference` asks this node about.

        Each batch must get a reply before the next one. Nodes work independently of each other. The
        iteration ends when the driver leaves the with block of the cluster.

        ```python
        for batch in ctx.inference(batch_size=256, columns=["image"]):
            batch.reply({"prediction": model.predict_on_batch(batch["image"])})
        ```

        Args:
            feed: The name given to `cluster.inference`.
            batch_size: Rows of a batch. The last batch of a Spark partition may be smaller; none
                has rows of two partitions.
            columns: As in `feed`; None for all columns that are not kept beside the results.
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
        """Return Keras callbacks of which only the chief's write.

        Args:
            checkpoint: File to save the model to after every epoch; may contain `{epoch}`.
            backup: Folder to keep the state of training in: after a restart, `fit` goes on from
                there on all nodes. All nodes must see the folder.
            tensorboard: Whether to write event files to `log_dir`.

        Returns:
            The callbacks asked for, and one that tells the driver after every epoch how it went.
            For other settings of them see `tensorsparkml.trainer.callbacks`.
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
        """Write a model for serving, once, by the chief; on other nodes this does nothing.

        Args:
            model: A Keras model, or a `tf.Module`.
            uri: Folder to write, local or on any filesystem that fsspec knows; replaced if it is
                there.

        Returns:
            The folder as an absolute path or URI, on every node.
        """
        target = self.absolute_path(uri)
        if self.is_chief:
            write_directory(target, lambda path: _save(model, path))
        return target

    @checked(wait_seconds=seconds)
    def training_ended(self, wait_seconds: float = 0.0) -> bool:
        """Whether the nodes that train have all returned from main; for an evaluator.

        An evaluator that has not asked a second after the training, or after its main began, is
        ended. One that asks may finish what it is doing, and must return when this is True. It
        should ask first and look for a checkpoint then, so that it does not miss the last one.

        Args:
            wait_seconds: How long to wait for it.
        """
        return self._agent.training_ended(wait_seconds)

    @checked(path=path)
    def absolute_path(self, path: StrPath) -> str:
        """Return a path as every node and the driver can use it; see `storage.absolute_path`."""
        return absolute_path(path, self.default_fs, self.working_dir)

    def _explain(self, error: BaseException) -> DataError | None:
        """Return what is known about an error of TensorFlow's, or None."""
        # Of TensorFlow's errors only: the program may have gone on after an earlier one.
        if not type(error).__module__.startswith("tensorflow."):
            return None
        return self._data_errors[-1] if self._data_errors else self._files.explain(error)

    def _feed(self, name: str) -> Feed:
        if self._hands_out_steps:
            raise ConfigurationError(
                f"the rows of feed {name!r} are on the workers, and main runs on the chief: read "
                "them in the workers' steps, with ctx.dataset(...), or use between_graph=True"
            )
        if not self._reads_feeds:
            raise ConfigurationError(
                f"the {self.role} has no share of feed {name!r}, which the nodes share that train; "
                "read files here, with ctx.read_parquet(...) or ctx.read_tfrecord(...)"
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
