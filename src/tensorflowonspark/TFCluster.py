"""Clusters of the old API."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

import tensorsparkml as tsm
from tensorflowonspark.arguments import gpus_of, session_of
from tensorflowonspark.feeds import COLUMN, pickled
from tensorflowonspark.nodes import NodeNames
from tensorflowonspark.TFSparkNode import Program
from tensorsparkml.errors import ConfigurationError, TensorSparkMLError

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext
    from pyspark.streaming import DStream, StreamingContext

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between looks at a cluster that nobody waits for
_CANCEL_SECONDS = 3.0  # in which Spark's jobs of a failed cluster are cancelled
_DEFAULT_EPOCHS = 10  # as many as num_epochs=0 has always been
_NO_FEEDS = ("output", "error", "control")


class InputMode:
    """Who reads the data: the program itself, or Spark."""

    TENSORFLOW = 0
    SPARK = 1


class TFCluster:
    """A running cluster.

    Attributes:
        sc: The application.
        input_mode: See `InputMode`.
        cluster_info: For each node, a dict of `executor_id`, `host`, `job_name`, `task_index`,
            `port`, `tb_port` and `tb_pid`.
    """

    def __init__(
        self,
        sc: SparkContext,
        cluster: tsm.Cluster,
        names: NodeNames,
        input_mode: int,
        queues: Sequence[str],
    ) -> None:
        self.sc = sc
        self.input_mode = input_mode
        self.queues = list(queues)
        self.num_executors = names.nodes
        self._cluster = cluster
        self._url = cluster.tensorboard_url
        port = (self._url and urlsplit(self._url).port) or 0
        self.cluster_info = names.cluster_info(cluster.addresses, port)
        feeds = [name for name in queues if name not in _NO_FEEDS] if self._fed else []
        self._feeds = {name: cluster.open_feed(name) for name in feeds}
        self._error: TensorSparkMLError | None = None
        self._ended = threading.Event()
        self._stopping = threading.Lock()
        _live.add(self)
        threading.Thread(target=self._watch, name="TFCluster", daemon=True).start()

    def train(
        self,
        dataRDD: RDD[Any] | DStream[Any],
        num_epochs: int = 0,
        feed_timeout: float = 600,
        qname: str = "input",
    ) -> None:
        """Feed an RDD, or the RDDs of a DStream as they arrive.

        Args:
            dataRDD: Rows of any type that can be pickled.
            num_epochs: Number of epochs; 0 means ten. Spark computes the rows again for each.
            feed_timeout: Ignored, because a node that fails ends the feed at once.
            qname: Name of the feed.

        Raises:
            NodeError: A node failed.
        """
        from pyspark.streaming import DStream

        if num_epochs < 0:
            raise ConfigurationError(f"num_epochs must not be negative, but is {num_epochs}")
        feed = self._feed(qname, "train")

        def add(rdd: RDD[Any]) -> None:
            if feed.wanted and rdd.getNumPartitions():  # without, nothing has come
                feed.add(rdd.mapPartitions(pickled), [COLUMN])

        if isinstance(dataRDD, DStream):
            dataRDD.foreachRDD(add)
            return
        rows = dataRDD.mapPartitions(pickled)
        for _ in range(num_epochs or _DEFAULT_EPOCHS):
            if not feed.add(rows, [COLUMN]):
                break

    def inference(
        self,
        dataRDD: RDD[Any],
        feed_timeout: float = 600,
        qname: str = "input",
    ) -> RDD[Any]:
        """Return the programs' results, lazily, in the order and partitions of the rows.

        Args:
            dataRDD: Rows of any type that can be pickled.
            feed_timeout: Ignored, as in `train`.
            qname: Name of the feed.
        """
        self._feed(qname, "inference")
        return self._cluster.inference(dataRDD, feed=qname)

    def shutdown(
        self,
        ssc: StreamingContext | None = None,
        grace_secs: float = 0,
        timeout: float = 259200,
    ) -> None:
        """Wait until every program has ended, then end the nodes.

        Args:
            ssc: The streaming context of DStreams that feed the cluster. This waits for its end
                first, and stops it when the programs need no more rows.
            grace_secs: Ignored, because programs always get the time that they need after their
                last row.
            timeout: How many seconds the programs may take to end after their last row; -1 for no
                limit.

        Raises:
            NodeError: A node failed, or did not end in time.
        """
        try:
            if ssc is not None:
                self._await_stream(ssc)
            self._require()
            self._ended.set()
            self._cluster.shutdown(timeout if timeout > 0 else None)
        except TensorSparkMLError as error:
            self.stop()
            raise self._error or error from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the nodes at once, whatever they are doing."""
        self._ended.set()
        self._stop()

    def tensorboard_url(self) -> str | None:
        """Return the URL of TensorBoard, or None."""
        return self._url

    @property
    def _fed(self) -> bool:
        return self.input_mode == InputMode.SPARK

    def _feed(self, name: str, method: str) -> tsm.GrowingFeed:
        self._require()
        if not self._fed:
            raise ConfigurationError(f"TFCluster.{method} needs input_mode=InputMode.SPARK")
        if name not in self._feeds:
            raise ConfigurationError(
                f"there is no queue {name!r}; the queues are {', '.join(self._feeds)}"
            )
        return self._feeds[name]

    def _stop(self) -> None:
        with self._stopping:  # whoever comes second waits until the slots are free
            self._cluster.stop()

    def _require(self) -> None:
        if self._error is not None:
            raise self._error

    def _await_stream(self, ssc: Any) -> None:  # annotated in PySpark as if it returned nothing
        try:
            while not ssc.awaitTerminationOrTimeout(_LOOK_SECONDS):
                if self._error is not None or not any(f.wanted for f in self._feeds.values()):
                    ssc.stop(stopSparkContext=False, stopGraceFully=self._error is None)
                    return
        except Exception:  # of Spark, which a node's failure may be the cause of
            self._cluster.wait(0.0)
            raise

    def clean_up(self) -> None:
        """End what is left of a failed cluster; does nothing while the cluster runs."""
        try:
            if not self._ended.is_set():
                self._cluster.wait(0.0)
        except TensorSparkMLError as error:
            self._error = self._error or error
            self._stop()

    def _watch(self) -> None:
        """Clean up after a failure, because old programs end without `shutdown` then."""
        while not self._ended.is_set():
            try:
                if self._cluster.wait(_LOOK_SECONDS):
                    self._ended.wait(_LOOK_SECONDS)
            except TensorSparkMLError as error:
                if not self._ended.is_set():
                    self._error = self._error or error
                    logger.error("the cluster has failed: %s", error.message)
                    if not self._ended.wait(_CANCEL_SECONDS):
                        self._stop()
                return


# Those that may have failed without anybody having called `shutdown`.
_live: WeakSet[TFCluster] = WeakSet()


def run(
    sc: SparkContext,
    map_fun: Callable[[Any, Any], Any],
    tf_args: Any,
    num_executors: int,
    num_ps: int,
    tensorboard: bool = False,
    input_mode: int = InputMode.TENSORFLOW,
    log_dir: str | None = None,
    driver_ps_nodes: bool = False,
    master_node: str | None = None,
    reservation_timeout: float = 600,
    queues: Sequence[str] = ("input", "output", "error"),
    eval_node: bool = False,
    release_port: bool = True,
) -> TFCluster:
    """Start the nodes of a cluster, and return when all are running.

    Args:
        sc: The Spark context.
        map_fun: The program, `map_fun(tf_args, ctx)`; it runs on every node.
        tf_args: The program's first argument: anything that can be pickled. If it is a list, it is
            also in `sys.argv`.
        num_executors: Number of all nodes.
        num_ps: Number of parameter servers among them.
        tensorboard: Whether a TensorBoard shows the event files in `log_dir`.
        input_mode: See `InputMode`.
        log_dir: Folder for event files and logs.
        driver_ps_nodes: Whether parameter servers run on the driver's host.
        master_node: Job name of the chief, `chief` or `master`; None for workers alone.
        reservation_timeout: How many seconds the nodes may take to start.
        queues: Names of feeds.
        eval_node: Whether one node is an evaluator.
        release_port: Whether TensorFlow can bind the node's port from the beginning, rather than
            after `ctx.release_port()`.

    Raises:
        NotEnoughSlotsError: The application has too few task slots.
        TensorSparkMLError: A node could not be started.
    """
    for cluster in list(_live):  # from this thread, whose jobs they may still cancel
        cluster.clean_up()
    fed = input_mode == InputMode.SPARK
    for name, given in (("driver_ps_nodes", driver_ps_nodes), ("eval_node", eval_node)):
        if fed and given:
            raise ConfigurationError(f"{name} needs input_mode=InputMode.TENSORFLOW")
    names = NodeNames(num_executors, num_ps, master_node, bool(eval_node))
    nodes = tsm.Cluster(
        Program(map_fun, names, release_port),
        tf_args,
        spark=session_of(sc),
        fed=fed,
        num_workers=names.training,
        num_ps=num_ps,
        between_graph=num_ps > 0,
        main_on_ps=num_ps > 0,
        evaluator=bool(eval_node),
        driver_ps_nodes=bool(driver_ps_nodes) and num_ps > 0,
        log_dir=log_dir,
        tensorboard=bool(tensorboard),
        gpus=gpus_of(tf_args),
        start_seconds=reservation_timeout,
    )
    nodes.start()
    try:
        return TFCluster(sc, nodes, names, input_mode, queues)
    except BaseException:
        with suppress(TensorSparkMLError):
            nodes.stop()
        raise
