"""`run`: a cluster from its start to its end in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from tensorsparkml.checks import checked, optional
from tensorsparkml.config import ClusterSettings
from tensorsparkml.driver.cluster import Cluster
from tensorsparkml.driver.feeds.cluster_feeds import Files
from tensorsparkml.driver.feeds.delivery import NAMES, PASSES, FeedReport
from tensorsparkml.driver.feeds.sources import feed_rows, is_direct, named_feeds, row_source
from tensorsparkml.driver.lifecycle.pickling import main_function
from tensorsparkml.driver.lifecycle.running_cluster import DIRECT_FEED
from tensorsparkml.driver.spark.session import session
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession


class RunResults(list[Any]):
    """The results of main, by rank.

    Attributes:
        reports: The report of each feed, by name.
    """

    def __init__(self, results: Iterable[Any], reports: Mapping[str, FeedReport]) -> None:
        super().__init__(results)
        self.reports = dict(reports)


@checked(
    main=main_function,
    spark=session,
    data=optional(feed_rows),
    validation=optional(feed_rows),
    datasets=optional(named_feeds),
    **PASSES,
    columns=NAMES["columns"],
)
def run(
    main: Callable[[Any, Any], Any],
    args: Any = None,
    *,
    spark: SparkSession | None = None,
    data: DataFrame | RDD[Any] | Files | None = None,
    validation: DataFrame | RDD[Any] | Files | None = None,
    datasets: Mapping[str, DataFrame | RDD[Any] | Files] | None = None,
    epochs: int = 1,
    shuffle: bool = False,
    seed: int | None = None,
    cache: bool = True,
    columns: Sequence[str] | None = None,
    **settings: Unpack[ClusterSettings],
) -> RunResults:
    """Run a main function on the executors and return its results by rank.

    Args:
        main: The program, `main(args, ctx)`. Each node runs it in a separate process.
        args: The first argument of main: anything that can be pickled.
        spark: The session; the active one if omitted.
        data: Rows of the feed `train`: a DataFrame, an RDD, or one or more URIs of Parquet files;
            None if the program needs no feed. The tasks that start the nodes deliver a DataFrame,
            so no further task slot is needed. Separate jobs deliver the rows, as in
            `Cluster.train`, if they are an RDD, or with `validation`, `seed` or `columns`.
        validation: Rows of the feed `validation`.
        datasets: Rows of any feeds by name, instead of `data` and `validation`. All feeds but
            `train` are delivered first, and the nodes keep them.
        epochs: Number of passes over the rows of `train` that a `DataFeed` gives.
        shuffle: Whether each pass gives the rows of `train` in a new order.
        seed: Seed of these orders: the same rows in the same partitions give the same orders.
            Without `shuffle`, the order is that of the partitions. Nodes read nothing before
            all rows have arrived.
        cache: Whether the nodes keep the rows of `train` for further passes, as far as
            `spool_bytes` allows. If not, Spark sends them again for every pass; rows that the tasks
            that start the nodes deliver can then be read only once.
        columns: Columns to send, of DataFrames and of RDDs of dicts, Rows and named tuples. For an
            RDD of tuples, lists, arrays or plain values, the names of its columns.
        settings: The fields of `ClusterConfig`: `num_workers`, `log_dir` and so on.

    Returns:
        A list of the results. Its attribute `reports` has a `FeedReport` for each feed, by name.

    Raises:
        TensorSparkMLError: The base class of everything that can go wrong; see
            `tensorsparkml.errors`.
    """
    passes: dict[str, Any] = {"epochs": epochs, "shuffle": shuffle, "seed": seed, "cache": cache}
    kept = _feeds(data, validation, datasets)
    names = list(kept)
    train = kept.pop(DIRECT_FEED, None)
    if train is None and passes != _PASSES:
        raise ConfigurationError("epochs, shuffle, seed and cache are for the feed 'train'")
    by_jobs = bool(kept) or columns is not None or not is_direct(train, seed)
    for source in (train, *kept.values()) if by_jobs else ():
        if source is not None and not isinstance(source, list):
            row_source(source, columns)  # refuses its columns before nodes are started for it
    direct = None if by_jobs else train
    options = {"direct": direct, "fed": by_jobs, "feeds": names, **passes}
    cluster = Cluster(main, args, spark=spark, **options, **settings)
    with cluster:
        for feed, rows in kept.items():
            cluster.deliver(rows, feed=feed, seed=seed, columns=columns)
        if by_jobs and train is not None:
            cluster.train(train, columns=columns, **passes)
    return RunResults(cluster.results, cluster.reports)


_PASSES = {"epochs": 1, "shuffle": False, "seed": None, "cache": True}


def _feeds(data: Any, validation: Any, datasets: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the rows of each feed, by name."""
    if datasets is None:
        if data is None and validation is not None:
            raise ConfigurationError("validation=… needs rows to train with; pass data=… too")
        given = {DIRECT_FEED: data, "validation": validation}
        return {feed: rows for feed, rows in given.items() if rows is not None}
    if data is not None or validation is not None:
        raise ConfigurationError(
            "datasets=… names the rows of all feeds; leave out data=… and validation=…"
        )
    return dict(datasets)
