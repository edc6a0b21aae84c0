"""Feeds that the nodes do not keep, and feeds in shuffled order."""

from pathlib import Path

import pytest

import tensorsparkml as tsm
from tensorsparkml import errors

ROWS, ROW_BYTES = 4000, 1000


def read_passes(args, ctx):
    """Return the ids of every pass, and the most bytes that lay in all spools at once."""
    feed, passes, most = ctx.feed(), [[]], 0
    while not feed.should_stop():
        if feed.passes == len(passes):
            passes.append([])
        passes[-1] += feed.next_batch(50)["id"].tolist()
        if args:
            files = Path(args).rglob("spool/**/*.arrow")
            most = max(most, sum(size_of(file) for file in files))
    return passes, most


def size_of(file):
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def large(spark, rows=ROWS, partitions=40):
    """Rows of a kilobyte each, spread over many partitions."""
    return spark.range(0, rows, 1, partitions).selectExpr("id", f"rpad('', {ROW_BYTES}, 'x') text")


def check(results, passes, rows=ROWS):
    for number in range(passes):
        found = sorted(i for ids, _ in results for i in ids[number])
        assert found == list(range(rows))


def test_rows_past_the_limit_come_again(spark, tmp_path):
    limit = 400_000
    with tsm.Cluster(
        read_passes,
        str(tmp_path),
        spark=spark,
        num_workers=2,
        work_dir=str(tmp_path),
        spool_bytes=limit,
    ) as cluster:
        report = cluster.train(large(spark), epochs=2)
    check(cluster.results, passes=2)
    assert report.rows == ROWS
    assert report.rows_read == 2 * ROWS
    # A node may hold more than the limit while another one has nothing to read.
    assert max(size for _, size in cluster.results) < ROWS * ROW_BYTES


def test_rows_that_fit_come_once(spark):
    with tsm.Cluster(
        read_passes, spark=spark, num_workers=2, spool_bytes=100 * ROWS * ROW_BYTES
    ) as cluster:
        report = cluster.train(large(spark), epochs=2)
        assert list(cluster._running._state.feeds) == ["train"]
    check(cluster.results, passes=2)
    assert report.complete


def fit(args, ctx):
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    data = ctx.dataset(batch_size=50, features="x", label="y")
    return model.fit(data, epochs=args, verbose=0).history["loss"]


@pytest.mark.full
def test_keras_fits_rows_that_are_not_kept(spark):
    data = spark.range(0, 2000, 1, 8).selectExpr("array(id / 2000) x", "id / 1000 y")
    with tsm.Cluster(fit, 3, spark=spark, num_workers=2, spool_bytes=2000) as cluster:
        report = cluster.train(data, epochs=3, cache=False)
    assert report.rows_read >= 3 * 2000
    first, second = cluster.results
    assert first == second and first[0] > first[1] > first[2]


def two_batches_of_pass_two(args, ctx):
    feed, read = ctx.feed(), 0
    while read <= ROWS // 2 + 100:
        read += len(feed.next_batch(50)["id"])
    feed.terminate()
    return feed.should_stop()


@pytest.mark.full
def test_a_program_that_stops_early_ends_the_replay(spark):
    with tsm.Cluster(
        two_batches_of_pass_two, spark=spark, num_workers=2, spool_bytes=100_000
    ) as cluster:
        report = cluster.train(large(spark), epochs=9, cache=False)
    assert ROWS < report.rows_read < 2 * ROWS
    assert cluster.results == [True, True]


def test_the_tasks_that_start_the_nodes_deliver_once(spark):
    options = {"spark": spark, "num_workers": 2, "data": large(spark), "spool_bytes": 100_000}
    check(tsm.run(read_passes, cache=False, **options), passes=1)
    with pytest.raises(errors.SpentFeedError, match="cannot send them again"):
        tsm.run(read_passes, cache=False, epochs=2, **options)


@pytest.mark.full
def test_a_seed_needs_all_rows_at_once(spark):
    with (
        pytest.raises(errors.ConfigurationError, match="raise spool_bytes, or leave out the seed"),
        tsm.Cluster(read_passes, spark=spark, num_workers=2, spool_bytes=100_000) as cluster,
    ):
        cluster.train(large(spark), shuffle=True, seed=7)
    with pytest.raises(errors.ConfigurationError, match=r"use cluster\.train\(df, shuffle=True"):
        tsm.Cluster(read_passes, spark=spark, direct=spark.range(9), shuffle=True, seed=7)
    with tsm.Cluster(read_passes, spark=spark, num_workers=2) as cluster:
        with pytest.raises(errors.ConfigurationError, match="leave out cache=False, or the seed"):
            cluster.train(large(spark), shuffle=True, seed=7, cache=False)
        cluster.train(spark.range(10))


@pytest.mark.full
def test_a_seed_gives_the_same_orders(spark):
    data = spark.range(0, 600, 1, 7)

    def read(seed):
        with tsm.Cluster(read_passes, spark=spark, num_workers=2) as cluster:
            cluster.train(data, epochs=2, shuffle=True, seed=seed)
        check(cluster.results, passes=2, rows=600)
        return [ids for ids, _ in cluster.results]

    first = read(7)
    assert read(7) == first
    assert read(8) != first
    for node in first:
        assert node[0] != node[1] and sorted(node[0]) == sorted(node[1]) != node[0]
