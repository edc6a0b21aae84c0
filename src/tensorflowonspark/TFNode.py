"""What a program of the old API uses on its node."""

from __future__ import annotations

import getpass
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from tensorsparkml.errors import ConfigurationError

logger = logging.getLogger(__name__)


def hdfs_path(ctx: Any, path: str) -> str:
    """Return a path as a URI, on the default filesystem if the path names none.

    Args:
        ctx: Any object with `defaultFS` and `working_dir`.
        path: A URI, which does not change; an absolute path; or a relative path. A relative path
            starts at the driver's working directory if the default filesystem is local, and at the
            user's home on HDFS.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return path
    root = str(ctx.defaultFS)
    if path.startswith("/"):
        return root + path
    if root.startswith("file:"):
        return f"{root}/{ctx.working_dir[1:]}/{path}"
    if root.startswith(("hdfs://", "viewfs://")):
        return f"{root}/user/{getpass.getuser()}/{path}"
    logger.warning("%s has no home folders, so %r starts at its root", root, path)
    return f"{root}/{path}"


def start_cluster_server(ctx: Any, num_gpus: int = 1, rdma: bool = False) -> tuple[Any, Any]:
    """Return the `tf.train.ClusterSpec` of the cluster and this node's running server.

    Args:
        ctx: The node.
        num_gpus: Ignored, because the node already has its GPUs; see `tf_args.num_gpus`.
        rdma: Not supported by TensorFlow 2.

    Raises:
        ConfigurationError: For `rdma`.
    """
    if rdma:
        raise ConfigurationError(
            "rdma=True needs the protocol grpc+verbs, which TensorFlow 2 does not have; omit it"
        )
    import tensorflow as tf

    spec = tf.train.ClusterSpec(ctx.cluster_spec)
    server = tf.distribute.Server(
        spec, job_name=ctx.job_name, task_index=ctx.task_index, protocol="grpc"
    )
    return spec, server


def release_port(ctx: Any) -> None:
    """Release the node's port for TensorFlow, if `release_port=False` has reserved it."""
    if ctx.tmp_socket is None:
        logger.warning("release_port() did nothing: this node's port is not reserved")
        return
    ctx.tmp_socket.close()
    ctx.tmp_socket = None


def export_saved_model(sess: Any, export_dir: str, tag_set: str, signatures: Any) -> NoReturn:
    """Raise: TensorFlow 2 has no sessions to export.

    Raises:
        ConfigurationError: Always.
    """
    raise ConfigurationError(
        "export_saved_model exports a session of TensorFlow 1; use "
        "compat.export_saved_model(model, export_dir, is_chief) with a Keras model, or "
        "tf.saved_model.save(module, export_dir, signatures=…)"
    )


def next_batch(mgr: Any, batch_size: int, qname: str = "input") -> NoReturn:
    """Raise: use `DataFeed`."""
    _gone("next_batch(mgr, …)")


def batch_results(mgr: Any, results: Iterable[Any], qname: str = "output") -> NoReturn:
    """Raise: use `DataFeed`."""
    _gone("batch_results(mgr, …)")


def terminate(mgr: Any, qname: str = "input") -> NoReturn:
    """Raise: use `DataFeed`."""
    _gone("terminate(mgr)")


def _gone(name: str) -> NoReturn:
    raise ConfigurationError(
        f"TFNode.{name} was deprecated in TensorFlowOnSpark; use the methods of ctx.get_data_feed()"
    )


class DataFeed:
    """The rows that the driver feeds to this node, as they were in the RDD.

    Args:
        mgr: `ctx.mgr`.
        train_mode: Ignored. Batches of `TFCluster.inference` always end with their partition, and
            batches of `TFCluster.train` never do.
        qname_in: Name of the feed.
        qname_out: Ignored, because results go back to where the rows came from.
        input_mapping: A dict from column names to tensor names, for rows that are tuples with a
            value for each column, in the sorted order of the column names.

    Attributes:
        done_feeding: Whether the end of the rows has been reached.
    """

    def __init__(
        self,
        mgr: Any,
        train_mode: bool = True,
        qname_in: str = "input",
        qname_out: str = "output",
        input_mapping: Mapping[str, str] | None = None,
    ) -> None:
        self.mgr = mgr
        self.train_mode = train_mode
        self.qname_in = qname_in
        self.qname_out = qname_out
        self.done_feeding = False
        self.input_tensors = (
            None
            if input_mapping is None
            else [tensor for _, tensor in sorted(input_mapping.items())]
        )

    def next_batch(self, batch_size: int) -> Any:
        """Wait for rows and return them.

        Returns:
            A list of rows, or with `input_mapping` a dict of lists by tensor name. At the end of
            the rows, or of a partition of an inference, there are fewer than `batch_size` or none.
        """
        rows: list[Any] = []
        if not self.done_feeding:
            rows, ended = self.mgr.incoming(self.qname_in).next_rows(batch_size)
            self.done_feeding |= ended  # another thread may have terminated the feed meanwhile
        if self.input_tensors is None:
            return rows
        return {
            tensor: [row[place] for row in rows] for place, tensor in enumerate(self.input_tensors)
        }

    def should_stop(self) -> bool:
        """Whether the end of the rows has been reached; does not wait."""
        return self.done_feeding

    def batch_results(self, results: Iterable[Any]) -> None:
        """Send results of an inference: one for each row that `next_batch` has returned."""
        self.mgr.incoming(self.qname_in).answer(list(results))

    def terminate(self) -> None:
        """Need no more rows; Spark stops when every node has called this."""
        self.mgr.incoming(self.qname_in).terminate()
        self.done_feeding = True
