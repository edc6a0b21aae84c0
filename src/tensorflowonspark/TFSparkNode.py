"""`TFNodeContext`: the second argument of a program of the old API."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from tensorflowonspark import TFNode
from tensorflowonspark.feeds import COLUMN, Incoming
from tensorflowonspark.nodes import NodeNames
from tensorflowonspark.removed import removed_names
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.program.naming import function_name

if TYPE_CHECKING:
    from tensorsparkml import Context

__getattr__ = removed_names(
    __name__,
    {
        "TFSparkNode": "A program gets its rows from ctx.get_data_feed().",
        "inference": "Call inference(rdd) of what TFCluster.run returns.",
        "run": "Call TFCluster.run(sc, map_fun, tf_args, …), which starts the nodes.",
        "shutdown": "Call shutdown() of what TFCluster.run returns.",
        "train": "Call train(rdd, num_epochs) of what TFCluster.run returns.",
    },
)


class TFNodeContext:
    """A program's view of its node.

    Attributes:
        executor_id: Index of the node among all nodes, parameter servers first.
        worker_num: The same as `executor_id`.
        job_name: `worker`, `ps`, `evaluator`, or the value of `master_node`.
        task_index: Index of the node among the nodes of that job.
        cluster_spec: Addresses of all nodes by job.
        num_workers: Number of nodes that train.
        defaultFS: Hadoop's default filesystem, such as `hdfs://nameservice` or `file://`.
        working_dir: The driver's working directory.
        mgr: The object from which a `DataFeed` gets its rows.
        tmp_socket: With `release_port=False`, the socket that reserves the node's port.
    """

    def __init__(
        self,
        executor_id: int = 0,
        job_name: str = "",
        task_index: int = 0,
        cluster_spec: Mapping[str, list[str]] | None = None,
        defaultFS: str = "file://",
        working_dir: str = ".",
        mgr: Any = None,
        tmp_socket: socket.socket | None = None,
    ) -> None:
        self.worker_num = self.executor_id = executor_id
        self.job_name = job_name
        self.task_index = task_index
        self.cluster_spec = dict(cluster_spec or {})
        self.num_workers = sum(
            len(addresses)
            for job, addresses in self.cluster_spec.items()
            if job in ("chief", "master", "worker")
        )
        self.defaultFS = defaultFS
        self.working_dir = working_dir
        self.mgr = mgr
        self.tmp_socket = tmp_socket

    def absolute_path(self, path: str) -> str:
        """Return a path as a URI; see `TFNode.hdfs_path`."""
        return TFNode.hdfs_path(self, path)

    def start_cluster_server(self, num_gpus: int = 1, rdma: bool = False) -> tuple[Any, Any]:
        """Start TensorFlow's server; see `TFNode.start_cluster_server`."""
        return TFNode.start_cluster_server(self, num_gpus, rdma)

    def export_saved_model(self, sess: Any, export_dir: str, tag_set: str, signatures: Any) -> None:
        """Raise; see `TFNode.export_saved_model`."""
        TFNode.export_saved_model(sess, export_dir, tag_set, signatures)

    def get_data_feed(
        self,
        train_mode: bool = True,
        qname_in: str = "input",
        qname_out: str = "output",
        input_mapping: Mapping[str, str] | None = None,
    ) -> TFNode.DataFeed:
        """Return the rows that the driver feeds; see `TFNode.DataFeed`."""
        return TFNode.DataFeed(self.mgr, train_mode, qname_in, qname_out, input_mapping)

    def release_port(self) -> None:
        """Release the node's port for TensorFlow; see `TFNode.release_port`."""
        TFNode.release_port(self)


class NodeFeeds:
    """`ctx.mgr`: the node's feeds by name.

    Args:
        context: The node.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._incoming: dict[str, Incoming] = {}

    def incoming(self, name: str) -> Incoming:
        """Return the rows of a feed, the same object each time.

        Raises:
            ConfigurationError: The node is a parameter server or an evaluator.
        """
        if name not in self._incoming:
            feed = self._context.feed(name, columns=[COLUMN])
            self._incoming[name] = Incoming(feed, self._context.inference(name, batch_size=1))
        return self._incoming[name]

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"ctx.mgr has no {name!r}, because nodes have no queues; use the methods of "
            "ctx.get_data_feed()"
        )


class Program:
    """Runs an old program's function on a node of a cluster.

    Args:
        map_fun: The function.
        names: The cluster's nodes.
        release_port: Whether TensorFlow can bind the node's port from the beginning.
    """

    def __init__(
        self, map_fun: Callable[[Any, Any], Any], names: NodeNames, release_port: bool = True
    ) -> None:
        self._map_fun = map_fun
        self._names = names
        self._release_port = release_port
        # So that a function of a module that executors lack is sent by value.
        self.__module__ = getattr(map_fun, "__module__", None) or __name__
        self.__name__ = function_name(map_fun)  # for messages

    def __call__(self, tf_args: Any, context: Context) -> None:
        """Run it."""
        name = f"{context.role}:{context.task_index}"
        executor_id = self._names.executor_id(name)
        job, index, _ = self._names.jobs()[executor_id]
        kept = None if self._release_port else keep_port(context.addresses[name])
        ctx = TFNodeContext(
            executor_id,
            job,
            index,
            self._names.cluster_spec(context.addresses),
            default_fs(context),
            context.working_dir,
            NodeFeeds(context),
            kept,
        )
        call(self._map_fun, tf_args, ctx)


def call(map_fun: Callable[[Any, Any], Any], tf_args: Any, ctx: TFNodeContext) -> None:
    """Call an old program's function, with its arguments also in `sys.argv` if they are a list.

    Raises:
        ConfigurationError: It uses `tf.estimator`.
    """
    if isinstance(tf_args, list):
        sys.argv = tf_args
    try:
        map_fun(tf_args, ctx)
    except (AttributeError, ImportError) as error:
        if "tensorflow" not in str(error) or not re.search(r"(\b|_)estimator\b", str(error)):
            raise
        raise ConfigurationError(
            f"{error}: TensorFlow has no tf.estimator since 2.16. Use Keras: model.fit under "
            "tf.distribute.MultiWorkerMirroredStrategy(), with TFCluster.run(…, "
            "master_node='chief'); or tensorsparkml's ctx.strategy and ctx.dataset"
        ) from error


def default_fs(context: Context) -> str:
    """Return the default filesystem in its old form: a local one without the root."""
    root = context.default_fs
    return "file://" if root.startswith("file:") else root


def keep_port(address: str) -> socket.socket:
    """Return a socket that reserves the node's port: nobody else can bind it."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    kept = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind((host, int(port)))
    kept.listen()  # beside one that listens, Linux lets nobody bind
    return kept
