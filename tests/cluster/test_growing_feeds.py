"""Feeds to which rows are added several times."""

import itertools

import pytest

import tensorsparkml as tsm
from tensorsparkml import errors


def read_ids(size, ctx):
    feed, batches = ctx.feed(), []
    while not feed.should_stop():
        batches.append(feed.next_batch(size)["id"].tolist())
    return batches


def test_it_is_one_feed_to_the_nodes(spark):
    with tsm.Cluster(read_ids, 8, spark=spark, num_workers=2) as cluster:
        feed = cluster.open_feed()
        assert feed.wanted
        for begin in range(0, 60, 20):
            assert feed.add(spark.range(begin, begin + 20))
        feed.close()
        with pytest.raises(errors.ConfigurationError, match="feed 'train' was closed"):
            feed.add(spark.range(3))
    assert feed.report == tsm.FeedReport(60, (30, 30), rows_read=60, complete=True)
    found = [list(itertools.chain(*batches)) for batches in cluster.results]
    assert sorted(itertools.chain(*found)) == list(range(60))
    # Batches span what was added.
    assert [[len(batch) for batch in batches] for batches in cluster.results] == [[8, 8, 8, 6]] * 2


def test_leaving_the_block_closes_it(spark):
    with tsm.Cluster(read_ids, 8, spark=spark, num_workers=2) as cluster:
        cluster.open_feed().add(spark.sparkContext.parallelize(range(5), 2), columns=["id"])
    assert sorted(itertools.chain(*itertools.chain(*cluster.results))) == list(range(5))


def stop_after_a_batch(args, ctx):
    feed = ctx.feed()
    rows = len(feed.next_batch(4)["id"])
    feed.terminate()
    return rows


def test_nobody_wants_more(spark):
    with tsm.Cluster(stop_after_a_batch, spark=spark, num_workers=2) as cluster:
        feed = cluster.open_feed()
        feed.add(spark.range(100))
        while feed.wanted:
            feed.add(spark.range(10))
        assert not feed.add(spark.range(10))
    assert cluster.results == [4, 4]
    assert not feed.report.complete


def fail(args, ctx):
    ctx.feed().next_batch(1)
    raise ValueError("bad row")


def test_a_failure_of_a_node_is_raised(spark):
    with (
        pytest.raises(errors.MainError, match="bad row"),
        tsm.Cluster(fail, spark=spark, num_workers=2) as cluster,
    ):
        feed = cluster.open_feed()
        while feed.add(spark.range(10)):
            pass


def test_a_failure_of_spark_is_raised(spark):
    rows = spark.sparkContext.parallelize(range(4), 2).map(lambda n: (n // (n - 3),))
    with (
        pytest.raises(errors.FeedError, match="ZeroDivisionError"),
        tsm.Cluster(read_ids, 8, spark=spark, num_workers=2) as cluster,
    ):
        cluster.open_feed().add(rows, columns=["id"])
