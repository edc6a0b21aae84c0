"""DataFrames without rows, whether or not Spark knows that before it computes them."""

import pytest

import tensorsparkml as tsm


def read(args, ctx):
    feed, rows = ctx.feed(), 0
    while not feed.should_stop():
        rows += len(feed.next_batch(10).get("id", []))
    return rows


def make_dataset(args, ctx):
    ctx.dataset(batch_size=4, features="id")


@pytest.mark.parametrize("known", ["where 1 = 0", "limit 0", "join", "no"])
def test_a_feed_without_rows(spark, known):
    ids = spark.range(5)
    data = {
        "where 1 = 0": ids.where("1 = 0"),
        "limit 0": ids.limit(0),
        "join": ids.join(ids.limit(0), "id"),
        "no": ids.where("id > rand() + 100"),
    }[known]
    assert tsm.run(read, spark=spark, data=data, num_workers=2, packages=()) == [0, 0]
    if known == "limit 0":
        with pytest.raises(tsm.errors.EmptyFeedError, match="0 rows for 2 nodes"):
            tsm.run(make_dataset, spark=spark, data=data, num_workers=2)
