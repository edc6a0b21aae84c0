"""`Cluster`: one run of a main function on the executors of a Spark application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from tensorsparkml.checks import checked, optional, seconds
from tensorsparkml.config import ClusterSettings, make_config
from tensorsparkml.control.coordinator.conditions import AllFinished, FeedDone
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.tf_config import addresses
from tensorsparkml.driver.board import wait_for_board
from tensorsparkml.driver.feeding import (
    FED,
    NAMES,
    PASSES,
    FeedReport,
    OpenFeed,
    deliver,
    feed_report,
    new_ledger,
    read_files,
    source_uris,
)
from tensorsparkml.driver.growing import GrowingFeed
from tensorsparkml.driver.inference_calls import InferenceCalls
from tensorsparkml.driver.pickling import main_function, pickle_main, unpickle_results
from tensorsparkml.driver.replay import Replay
from tensorsparkml.driver.row_sources import check_direct, direct_rows, feed_rows, row_source
from tensorsparkml.driver.session import session, usable_session
from tensorsparkml.driver.startup import DIRECT_FEED, RunningCluster
from tensorsparkml.driver.stream_sources import stream, stream_source
from tensorsparkml.driver.streaming import StreamFeed
from tensorsparkml.errors import ConfigurationError, NodeError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter
    from pyspark.streaming import DStream


# A URI of Parquet files, or several.
Files = str | Sequence[str]


class Cluster(InferenceCalls):
    """One run of a main function on the executors of a Spark application.

    ```python
    with Cluster(main, args, spark=spark, num_workers=2) as cluster:
        cluster.train(df)
    print(cluster.results)
    ```

    Entering starts the nodes; leaving waits until every main has returned, or, if the block
    raised, ends the nodes at once.

    Args:
        main: The program, `main(args, ctx)`. It runs on every node, in a process of its own.
        args: Its first argument: anything that can be pickled.
        spark: The session; by default the active one.
        direct: DataFrame that the nodes' launch tasks deliver themselves, so that no other Spark
            job, and no spare task slot, is needed to feed them; or URIs of Parquet files.
        epochs: Number of passes over `direct` that a `DataFeed` delivers.
        shuffle: Whether the rows of `direct` come in a new order in every pass.
        seed: Seed of these orders, for files only.
        cache: Whether nodes keep the rows of `direct` for further passes; if not, there is one.
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
        self._replays: list[Replay] = []
        self._fed = fed and direct is None
        self._feeds = feeds
        self._streams: list[StreamFeed] = []
        self._growing: list[GrowingFeed] = []
        self._results: list[Any] | None = None

    @property
    def results(self) -> list[Any]:
        """What each node's main returned, by rank, of those that run main.

        There once the cluster has ended. None of a main that was not waited for.
        """
        if self._results is None:
            raise ConfigurationError("results are there once the cluster has ended")
        return self._results

    @property
    def nodes(self) -> list[str]:
        """The nodes' names by rank, such as `chief:0` and `worker:0`."""
        return self.config.roles.names

    @property
    def addresses(self) -> dict[str, str]:
        """Address for the TensorFlow server of each node, by name, once all nodes run."""
        return addresses(self._require_running().coordinator.snapshot().peers)

    @property
    def tensorboard_url(self) -> str | None:
        """Where TensorBoard serves, or None while it does not; waits while it starts."""
        if self._running is None or self._ended or not self.config.tensorboard:
            return None
        return wait_for_board(self._running.coordinator, self.config.start_seconds)

    # Startup

    def start(self) -> None:
        """Start the nodes and return once every node's process runs.

        Raises:
            NotEnoughSlotsError: The application has too few task slots.
            TensorSparkMLError: A node could not be started; see `tensorsparkml.errors`.
        """
        if self._running is not None:
            raise ConfigurationError("this cluster was started already; make another Cluster")
        self._running = RunningCluster(
            self._spark, self.config, self._main, self._direct, self._ledger, self._fed
        )
        if self._feeds is not None:
            self._running.coordinator.end_feeds(self._feeds)

    # Feeding

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

        The rows are spread evenly over the nodes, whatever the partitions. Each reaches exactly
        one node and stays there, so a program may read the feed as often as it likes.

        Args:
            data: The rows: a DataFrame, or a URI (or several) of Parquet files, which the nodes
                then read themselves, without Spark.
            validation: Rows of the feed `validation`, delivered before those of `data`, so that
                `model.fit` can read both: `validation_data=ctx.dataset("validation", …)`.
            epochs: How many passes the nodes' `DataFeed` delivers, and how many passes to wait
                for. `ctx.dataset` gives one pass each time it is iterated, whatever this says.
            shuffle: Whether the rows of `data` come in another order in every pass. In the first
                one, each node shuffles the rows that have arrived.
            seed: What the orders follow from: the same rows in the same partitions come in the
                same orders. Nothing is read, then, before all rows have arrived.
            cache: Whether the nodes keep the rows of `data` for further passes, as far as
                `spool_bytes` allows. Otherwise Spark brings them again for every pass.
            feed: Name of the feed. A feed is fed once.
            columns: Columns to send, of DataFrames and of RDDs of dicts, Rows and named tuples.
                For an RDD of tuples, lists, arrays or plain values, the names that their columns
                get, instead of `_1`, `_2`, … or `value`.

        Returns:
            How many rows were delivered. It returns early, with `complete` False and the Spark
            job cancelled, when every node's program has ended or wants no more.

        Raises:
            DataError: The rows of an RDD are not of one kind.
            FeedError: Spark could not produce the rows.
            NodeError: A node failed.
        """
        ledger = self._new_ledger(feed, epochs, shuffle=shuffle, seed=seed, cache=cache)
        running = self._require_running()
        if validation is not None:
            kept = new_ledger("validation", self.config.roles.readers)
            self._deliver(running, validation, columns, kept)
        complete = self._deliver(running, data, columns, ledger)
        running.coordinator.require(FeedDone(feed, epochs))
        if complete is None:
            complete = all(progress.passes >= epochs for progress in ledger.progress)
        return feed_report(ledger, complete)

    def _deliver(
        self,
        running: RunningCluster,
        data: DataFrame | RDD[Any] | Files,
        columns: Sequence[str] | None,
        ledger: FeedLedger,
    ) -> bool | None:
        """Return whether Spark delivered all rows, or None where the nodes read them from files."""
        plan = running.plan
        if uris := source_uris(data, plan.default_fs, plan.working_dir):
            if columns is not None:
                raise ConfigurationError(
                    "columns are for rows of Spark; choose those of files with ctx.feed(columns=…)"
                )
            read_files(running.coordinator, uris, ledger)
            return None
        self._require_fed()
        rows = row_source(data, columns)
        if ledger.limited:
            self._replays.append(Replay(running.coordinator, plan, rows, ledger))
        return deliver(running.coordinator, plan, rows, ledger).complete

    def _new_ledger(self, feed: str, epochs: int = 1, **options: Any) -> FeedLedger:
        config = self.config
        return new_ledger(
            feed, config.roles.readers, epochs, spool_bytes=config.spool_bytes, **options
        )

    @checked(data=stream, **NAMES)
    def train_stream(
        self,
        data: DataFrame | DataStreamWriter | DStream[Any],
        *,
        feed: str = "train",
        columns: Sequence[str] | None = None,
    ) -> StreamFeed:
        """Feed the micro-batches of a stream to the nodes as they come, and return at once.

        The feed stays open until the stream ends, `stop` of what is returned is called, or every
        node's program has ended or wants no more; then the stream is stopped. Leaving the with
        block waits for that.

        Args:
            data: A streaming DataFrame; or its writer, for a trigger, a checkpoint or other
                options: `df.writeStream.trigger(availableNow=True)`. Or a DStream, whose context
                is started after this call, and is stopped with the feed.
            feed: Name of the feed. A feed is fed once.
            columns: As for `train`.

        Returns:
            The feed, with `stop()` and `wait()`.
        """
        running = self._require_fed()
        source = stream_source(data, columns)
        ledger = self._new_ledger(feed, cache=False, replayable=False)
        opened = OpenFeed(running.coordinator, running.plan, ledger)
        self._streams.append(StreamFeed(running.coordinator, opened, source))
        return self._streams[-1]

    @checked(feed=NAMES["feed"])
    def open_feed(self, feed: str = "train") -> GrowingFeed:
        """Open a feed to which rows are added as often as needed, and return it at once.

        It is one feed to the nodes, with batches that span what was added, until it is closed, or
        the with block is left.

        Args:
            feed: Name of the feed. A feed is opened once.

        Returns:
            The feed, with `add(data)` and `close()`.
        """
        running = self._require_fed()
        ledger = self._new_ledger(feed, cache=False, replayable=False)
        opened = OpenFeed(running.coordinator, running.plan, ledger)
        self._growing.append(GrowingFeed(running.coordinator, opened))
        return self._growing[-1]

    # Shutdown

    @checked(seconds=seconds)
    def wait(self, seconds: float) -> bool:
        """Wait until every main that is waited for has returned, and return whether they have.

        Args:
            seconds: How long to wait at most.

        Raises:
            NodeError: A node failed.
        """
        running = self._require_running()
        return running.coordinator.require(AllFinished(), seconds)

    @checked(timeout=optional(seconds))
    def shutdown(self, timeout: float | None = None) -> None:
        """Wait until streams have ended and every main has returned, and end the nodes.

        Args:
            timeout: Seconds that the mains have to return; None for as long as they need.

        Raises:
            FeedError: A stream failed.
            NodeError: A node failed, or its main has not returned in time.
        """
        if self._ended:
            return
        self._release_guard()
        running = self._require_running()
        running.coordinator.end_feeds()
        running.coordinator.end_inference()
        try:
            for growing in self._growing:
                growing.close()
            for stream in self._streams:
                stream.wait()
            self._await_mains(running, timeout)
        except BaseException:
            self.stop()
            raise
        self._ended = True
        self._end_replays()
        running.finish()
        results, nodes = running.coordinator.results(), self.nodes
        self._results = unpickle_results(
            {nodes[rank]: results[rank] for rank in self.config.roles.with_main}
        )

    def stop(self) -> None:
        """End the nodes at once, whatever they are doing."""
        self._release_guard()
        if self._running is not None and not self._ended:
            self._ended = True
            for stream in self._streams:
                stream.abandon()
            self._end_replays()
            self._running.abort()
            for stream in self._streams:
                stream.join()

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
            NodeError: A node failed; also where the block raised what Spark says of an inference
                that failed because of it.
            InferenceError: A main returned while Spark asked for inference.
        """
        self._release_guard()
        if kind is None:
            self.shutdown()
        else:
            cause = self._guard.explain(error) if self._guard is not None and error else None
            self.stop()
            if cause is not None:
                raise cause from error

    def _await_mains(self, running: RunningCluster, timeout: float | None) -> None:
        if timeout is None:
            running.coordinator.require(AllFinished())
        elif not self.wait(timeout):
            ended = running.coordinator.snapshot().finished
            late = [name for name in self.nodes if name not in ended]
            raise NodeError(
                f"main on {', '.join(late)} was still running {timeout:g} s after its feeds ended; "
                "look for an endless loop in it, or raise the timeout"
            )

    def _end_replays(self) -> None:
        for replay in self._replays:
            replay.end()
