"""`Cluster`: one run of a main function on the executors of a Spark application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from tensorsparkml.checks import checked, names, optional, seconds
from tensorsparkml.config import ClusterSettings, make_config
from tensorsparkml.control.coordinator.conditions import AllFinished
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.names import feed_name
from tensorsparkml.control.protocol.tf_config import addresses
from tensorsparkml.driver.feeds.cluster_feeds import ClusterFeeds, Files
from tensorsparkml.driver.feeds.delivery import FED, NAMES, PASSES, FeedReport, new_ledger
from tensorsparkml.driver.feeds.growing import GrowingFeed
from tensorsparkml.driver.feeds.sources import check_direct, direct_rows, feed_rows, spark_rows
from tensorsparkml.driver.feeds.stream import StreamFeed
from tensorsparkml.driver.feeds.stream_sources import stream
from tensorsparkml.driver.inference.cluster_inference import ClusterInference
from tensorsparkml.driver.inference.jobs import results_schema
from tensorsparkml.driver.lifecycle.pickling import main_function, pickle_main, unpickle_results
from tensorsparkml.driver.lifecycle.running_cluster import DIRECT_FEED, RunningCluster
from tensorsparkml.driver.monitoring.tensorboard import wait_for_board
from tensorsparkml.driver.spark.session import session, usable_session
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter
    from pyspark.sql.types import StructType
    from pyspark.streaming import DStream


class Cluster:
    """One run of a main function on the executors of a Spark application.

    ```python
    with Cluster(main, args, spark=spark, num_workers=2) as cluster:
        cluster.train(df)
    print(cluster.results)
    ```

    Entering starts the nodes. Leaving waits for every main, or ends the nodes if the block raised.

    Args:
        main: The program, `main(args, ctx)`. Each node runs it in a separate process.
        args: The first argument of main: anything that can be pickled.
        spark: The session; the active one if omitted.
        direct: Rows that need no spare task slot: a DataFrame, which the tasks that start the nodes
            deliver; or URIs of Parquet files, which the nodes read.
        epochs: Number of passes over `direct` that a `DataFeed` gives.
        shuffle: Whether each pass gives the rows of `direct` in a new order.
        seed: Seed of these orders, for files only.
        cache: Whether nodes keep the rows of `direct` for further passes. If not, there is one.
        fed: Whether `train` will be called. If not, no task slot needs to stay free for it.
        feeds: Names of all feeds, if known. A program that asks for another feed then gets an
            error at once, instead of when the with block is left.
        settings: The fields of `ClusterConfig`: `num_workers`, `slots`, `log_dir` and so on.

    Raises:
        ConfigurationError: A setting cannot work.
        UnpicklableError: main or args cannot be sent to the executors.
    """

    @checked(main=main_function, spark=session, direct=optional(direct_rows), **PASSES, **FED)
    def __init__(
        self,
        main: Callable[[Any, Any], Any],
        args: Any = None,
        *,
        spark: SparkSession | None = None,
        direct: DataFrame | Files | None = None,
        epochs: int = 1,
        shuffle: bool = False,
        seed: int | None = None,
        cache: bool = True,
        fed: bool = True,
        feeds: Sequence[str] | None = None,
        **settings: Unpack[ClusterSettings],
    ) -> None:
        self.config = make_config(settings)
        check_direct(direct, seed)
        self._main = pickle_main(main, args)
        self._spark = usable_session(spark)
        self._direct = direct
        self._ledger = self._new_ledger(
            DIRECT_FEED, epochs, shuffle=shuffle, seed=seed, cache=cache, replayable=False
        )
        self._fed = fed and direct is None
        self._feed_names = feeds
        self._running: RunningCluster | None = None
        self._feeds: ClusterFeeds | None = None
        self._inference: ClusterInference | None = None
        self._ended = False
        self._results: list[Any] | None = None

    @property
    def results(self) -> list[Any]:
        """Each main's result by rank, once the cluster has ended; None if nobody waited for it."""
        if self._results is None:
            raise ConfigurationError("results are available once the cluster has ended")
        return self._results

    @property
    def reports(self) -> dict[str, FeedReport]:
        """The report of each feed so far, by name."""
        return {} if self._feeds is None else self._feeds.reports

    @property
    def nodes(self) -> list[str]:
        """The nodes' names by rank, such as `chief:0` and `worker:0`."""
        return self.config.roles.names

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each node's TensorFlow server, by node name, once all nodes run."""
        return addresses(self._require_running().coordinator.snapshot().peers)

    @property
    def tensorboard_url(self) -> str | None:
        """The URL of TensorBoard, or None if it does not run; waits while it starts."""
        if self._running is None or self._ended or not self.config.tensorboard:
            return None
        return wait_for_board(self._running.coordinator, self.config.start_seconds)

    def start(self) -> None:
        """Start the nodes and return once every node's process runs.

        Raises:
            NotEnoughSlotsError: The application has too few task slots.
            TensorSparkMLError: A node could not be started; see `tensorsparkml.errors`.
        """
        if self._running is not None:
            raise ConfigurationError("this cluster was already started; create another Cluster")
        self._running = RunningCluster(
            self._spark, self.config, self._main, self._direct, self._ledger, self._fed
        )
        self._feeds = ClusterFeeds(self._running, None if self._direct is None else self._ledger)
        self._inference = ClusterInference(self._running, self._spark.sparkContext)
        if self._feed_names is not None:
            self._running.coordinator.end_feeds(self._feed_names)

    @checked(data=feed_rows, validation=optional(feed_rows), **PASSES, **NAMES)
    def train(
        self,
        data: DataFrame | RDD[Any] | Files,
        *,
        validation: DataFrame | RDD[Any] | Files | None = None,
        epochs: int = 1,
        shuffle: bool = False,
        seed: int | None = None,
        cache: bool = True,
        feed: str = "train",
        columns: Sequence[str] | None = None,
    ) -> FeedReport:
        """Feed a DataFrame, an RDD or files to the nodes, and return when they have read it.

        Each row reaches exactly one node. Shares differ by at most one row.

        Args:
            data: The rows: a DataFrame, an RDD, or one or more URIs of Parquet files, which the
                nodes read without Spark.
            validation: Rows of the feed `validation`. They are delivered before those of `data`, so
                `model.fit` can read both: `validation_data=ctx.dataset("validation", …)`.
            epochs: Number of passes that a `DataFeed` gives, and that this call waits for.
                `ctx.dataset` gives one pass each time it is iterated, whatever the number.
            shuffle: Whether each pass gives the rows of `data` in a new order. In the first pass,
                each node shuffles the rows that have arrived.
            seed: Seed of these orders: the same rows in the same partitions give the same orders.
                Without `shuffle`, the order is that of the partitions. Nodes read nothing before
                all rows have arrived.
            cache: Whether the nodes keep the rows of `data` for further passes, as far as
                `spool_bytes` allows. Otherwise Spark sends them again for every pass.
            feed: Name of the feed. Each feed can be fed once.
            columns: Columns to send, of DataFrames and of RDDs of dicts, Rows and named tuples.
                For other RDDs, the names of their columns instead of `_1`, `_2`, … or `value`.

        Returns:
            The report. `complete` is False, and the Spark job is cancelled, if every node's program
            ended or needed no more rows before all were delivered.

        Raises:
            DataError: The rows of an RDD differ in kind.
            FeedError: Spark could not produce the rows.
            NodeError: A node failed.
        """
        ledger = self._new_ledger(feed, epochs, shuffle=shuffle, seed=seed, cache=cache)
        feeds = self._running_feeds()
        if validation is not None:
            kept = self._new_ledger("validation", limited=False, seed=seed)
            feeds.keep(validation, columns, kept)
        return feeds.train(data, columns, ledger, epochs)

    @checked(data=feed_rows, seed=PASSES["seed"], **NAMES)
    def deliver(
        self,
        data: DataFrame | RDD[Any] | Files,
        *,
        feed: str,
        seed: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> FeedReport:
        """Feed rows that the nodes keep, and return when they have arrived, even if not yet read.

        Raises the same errors as `train`.

        Args:
            data: The rows, as for `train`.
            feed: Name of the feed. Each feed can be fed once.
            seed: Any number gives the rows in the order of their partitions, not of their arrival.
            columns: As for `train`.
        """
        ledger = self._new_ledger(feed, limited=False, seed=seed)
        return self._running_feeds().keep(data, columns, ledger)

    @checked(data=stream, **NAMES)
    def train_stream(
        self,
        data: DataFrame | DataStreamWriter | DStream[Any],
        *,
        feed: str = "train",
        columns: Sequence[str] | None = None,
    ) -> StreamFeed:
        """Feed the micro-batches of a stream to the nodes as they arrive, and return at once.

        The feed stays open until the stream ends, its `stop` is called, or every node's program
        has ended or needs no more rows. Leaving the with block waits for that.

        Args:
            data: A streaming DataFrame; or its writer with options, such as
                `df.writeStream.trigger(availableNow=True)`; or a DStream: start its context after
                this call, and it is stopped with the feed.
            feed: Name of the feed. Each feed can be fed once.
            columns: As for `train`.
        """
        ledger = self._new_ledger(feed, cache=False, replayable=False)
        return self._running_feeds().stream(data, columns, ledger)

    @checked(feed=NAMES["feed"])
    def open_feed(self, feed: str = "train") -> GrowingFeed:
        """Open a feed to which you can add rows until you close it or leave the with block.

        The nodes see a single feed: a batch may contain rows of two `add` calls.

        Args:
            feed: Name of the feed. Each feed can be opened once.
        """
        ledger = self._new_ledger(feed, cache=False, replayable=False)
        return self._running_feeds().grow(ledger)

    @overload
    def inference(
        self,
        data: DataFrame,
        schema: str | StructType = ...,
        *,
        keep: Sequence[str] = ...,
        feed: str = ...,
    ) -> DataFrame: ...

    @overload
    def inference(self, data: RDD[Any], *, feed: str = ...) -> RDD[Any]: ...

    @checked(data=spark_rows, keep=names, feed=feed_name, schema=results_schema)
    def inference(
        self,
        data: DataFrame | RDD[Any],
        schema: str | StructType = "prediction float",
        *,
        keep: Sequence[str] = (),
        feed: str = "inference",
    ) -> DataFrame | RDD[Any]:
        """Return the nodes' replies to the rows, lazily, in the order and partitions of the rows.

        Programs get the rows from `ctx.inference(...)`. Each action on the result sends the rows to
        the nodes, and must finish inside the with block.

        Args:
            data: The rows. The elements of an RDD and their results may be anything that can be
                pickled.
            schema: Names and types of the columns of the replies, for a DataFrame.
            keep: Columns of the DataFrame to put before the results, unchanged. Programs must then
                reply with one result for each row.
            feed: Name by which programs ask for the rows.

        Raises:
            MissingColumnError: A column to keep does not exist.
            ConfigurationError: The cluster does not run, or keeps no task slot free for the tasks.
        """
        self._require_running()
        assert self._inference is not None and not isinstance(schema, str)  # its check has read it
        return self._inference.infer(data, schema, keep, feed)

    @checked(seconds=seconds)
    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for every main to return, and return whether all have.

        Raises:
            NodeError: A node failed.
        """
        running = self._require_running()
        return running.coordinator.require(AllFinished(), seconds)

    @checked(timeout=optional(seconds))
    def shutdown(self, timeout: float | None = None) -> None:
        """Wait until streams have ended and every main has returned, then end the nodes.

        Args:
            timeout: How many seconds to wait for every main to return; None for no limit.

        Raises:
            FeedError: A stream failed.
            NodeError: A node failed, or its main did not return in time.
        """
        if self._ended:
            return
        self._release_jobs()
        running = self._require_running()
        running.coordinator.end_feeds()
        running.coordinator.end_inference()
        feeds = self._running_feeds()
        try:
            feeds.finish()
            running.wait_for_mains(timeout)
        except BaseException:
            self.stop()
            raise
        self._ended = True
        feeds.end_replays()
        running.finish()
        results, nodes = running.coordinator.results(), self.nodes
        self._results = unpickle_results(
            {nodes[rank]: results[rank] for rank in self.config.roles.with_main}
        )

    def stop(self) -> None:
        """End the nodes at once, whatever they are doing."""
        self._release_jobs()
        if self._running is not None and self._feeds is not None and not self._ended:
            self._ended = True
            self._feeds.abandon()
            self._running.abort()
            self._feeds.join()

    def __enter__(self) -> Self:
        """Start the nodes."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the nodes, or end them if the block raised.

        Raises:
            NodeError: A node failed. Replaces the exception of Spark that this caused in the block.
            InferenceError: A main returned while Spark asked for inference.
        """
        self._release_jobs()
        if kind is None:
            self.shutdown()
        else:
            cause = self._inference.explain(error) if self._inference and error else None
            self.stop()
            if cause is not None:
                raise cause from error

    def _new_ledger(
        self, feed: str, epochs: int = 1, *, limited: bool = True, **options: Any
    ) -> FeedLedger:
        spool_bytes = self.config.spool_bytes if limited else None
        return new_ledger(
            feed, self.config.roles.readers, epochs, spool_bytes=spool_bytes, **options
        )

    def _release_jobs(self) -> None:
        if self._inference is not None:
            self._inference.release()

    def _require_running(self) -> RunningCluster:
        if self._running is None or self._ended:
            raise ConfigurationError("this cluster is not running; use it in a with block")
        return self._running

    def _running_feeds(self) -> ClusterFeeds:
        self._require_running()
        assert self._feeds is not None
        return self._feeds
