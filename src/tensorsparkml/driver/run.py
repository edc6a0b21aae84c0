"""`run`: a cluster from its start to its end in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from tensorsparkml.checks import checked, optional
from tensorsparkml.config import ClusterSettings
from tensorsparkml.driver.cluster import Cluster, Files
from tensorsparkml.driver.feeding import NAMES, PASSES
from tensorsparkml.driver.pickling import main_function
from tensorsparkml.driver.row_sources import feed_rows, is_direct, row_source
from tensorsparkml.driver.session import session
from tensorsparkml.driver.startup import DIRECT_FEED
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import DataFrame, SparkSession


@checked(
    main=main_function,
    spark=session,
    data=optional(feed_rows),
    validation=optional(feed_rows),
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
    epochs: int = 1,
    shuffle: bool = False,
    seed: int | None = None,
    cache: bool = True,
    columns: Sequence[str] | None = None,
    **settings: Unpack[ClusterSettings],
) -> list[Any]:
    """Run a main function on the executors and return what each node's main returned, by rank.

    Args:
        main: The program, `main(args, ctx)`.
        args: Its first argument: anything that can be pickled.
        spark: The session; by default the active one.
        data: Rows of the feed `train`: a DataFrame, an RDD, or a URI (or several) of Parquet files;
            None if the program needs no feed. The tasks that start the nodes deliver a DataFrame,
            so that no further task slot is needed. With `validation`, `seed` or `columns`, and for
            an RDD, separate jobs deliver the rows, as in `Cluster.train`.
        validation: Rows of the feed `validation`.
        epochs: Number of passes over `data` that a `DataFeed` delivers.
        shuffle: Whether the rows of `data` come in a new order in every pass.
        seed: Seed of these orders: the same rows in the same partitions come in the same orders.
            Nothing is read before all rows have arrived.
        cache: Whether the nodes keep the rows of `data` for further passes, as far as `spool_bytes`
            allows. If not, Spark sends them again for every pass, and there is only one pass over
            rows that the launch tasks deliver.
        columns: Columns to send, of DataFrames and of RDDs of dicts, Rows and named tuples. For an
            RDD of tuples, lists, arrays or plain values, the names of its columns.
        settings: The fields of `ClusterConfig`: `num_workers`, `log_dir` and so on.

    Raises:
        TensorSparkMLError: Anything that went wrong; see `tensorsparkml.errors`.
    """
    feeding: dict[str, Any] = {"epochs": epochs, "shuffle": shuffle, "seed": seed, "cache": cache}
    if data is None and validation is not None:
        raise ConfigurationError("validation=… is read beside the rows to train with; give data=…")
    rows: Any = data
    by_jobs = validation is not None or columns is not None or not is_direct(rows, seed)
    for source in (rows, validation) if by_jobs else ():
        if source is not None and not isinstance(source, list):
            row_source(source, columns)  # refuses its columns before nodes are started for it
    direct = None if by_jobs else rows
    given = {DIRECT_FEED: data, "validation": validation}
    feeds = [name for name, source in given.items() if source is not None]
    options = {"direct": direct, "fed": by_jobs, "feeds": feeds, **feeding}
    cluster = Cluster(main, args, spark=spark, **options, **settings)
    with cluster:
        if by_jobs:
            cluster.train(rows, validation=validation, columns=columns, **feeding)
    return cluster.results
