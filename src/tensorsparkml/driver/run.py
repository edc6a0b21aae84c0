"""`run`: a cluster from its start to its end in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tensorsparkml.driver.cluster import Cluster, Files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def run(
    main: Callable[[Any, Any], Any],
    args: Any = None,
    *,
    spark: SparkSession | None = None,
    data: DataFrame | Files | None = None,
    epochs: int = 1,
    shuffle: bool = False,
    seed: int | None = None,
    cache: bool = True,
    **settings: Any,
) -> list[Any]:
    """Run a main function on the executors and return what each node's main returned, by rank.

    Args:
        main: The program, `main(args, ctx)`.
        args: Its first argument: anything that can be pickled.
        spark: The session; by default the active one.
        data: DataFrame that feeds the nodes, delivered by the tasks that start them; or a URI (or
            several) of Parquet files, which the nodes read themselves; None where the program
            needs no feed.
        epochs: How many passes over `data` a `DataFeed` delivers.
        shuffle: As in `Cluster.train`, as are `seed` and `cache`; without `cache` there is one
            pass.
        seed: See there.
        cache: See there.
        settings: The fields of `ClusterConfig`: `num_workers`, `log_dir` and so on.

    Raises:
        TensorSparkMLError: Anything that went wrong; see `tensorsparkml.errors`.
    """
    feeding: dict[str, Any] = {"epochs": epochs, "shuffle": shuffle, "seed": seed, "cache": cache}
    cluster = Cluster(main, args, spark=spark, direct=data, fed=False, **feeding, **settings)
    with cluster:
        pass
    return cluster.results
