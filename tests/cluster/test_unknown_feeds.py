"""A program that asks for a feed which nobody delivers."""

import logging

import pytest

import tensorsparkml as tsm
from tensorsparkml.trainer.datasets import feed_source


def ask_for_validation(args, ctx):
    feed = ctx.feed("validation")
    while not feed.should_stop():
        feed.next_batch(10)


@pytest.mark.parametrize("fed_by_jobs", [False, True])
def test_a_run_knows_its_feeds(spark, fed_by_jobs):
    options = {"columns": ["id"]} if fed_by_jobs else {}
    with pytest.raises(tsm.errors.UnknownFeedError, match=r"'validation': the only .* 'train'\."):
        tsm.run(ask_for_validation, spark=spark, data=spark.range(4), packages=(), **options)


def test_a_run_without_data_has_none(spark):
    with pytest.raises(tsm.errors.UnknownFeedError, match=r"'validation': there is no feed\."):
        tsm.run(ask_for_validation, spark=spark, packages=())


def test_in_a_cluster_a_feed_may_come_until_the_block_is_left(spark, caplog):
    def main(args, ctx):
        feed_source._PATIENCE_SECONDS = 0.0
        ask_for_validation(args, ctx)

    with caplog.at_level(logging.INFO, logger="tensorsparkml.node"):
        cluster = tsm.Cluster(main, spark=spark, num_workers=2, packages=())
        with (
            pytest.raises(tsm.errors.UnknownFeedError, match=r"'validation': the .* 'other'\."),
            cluster,
        ):
            cluster.open_feed("other")
            while "the program has waited for feed 'validation'" not in caplog.text:
                assert not cluster.wait(0.1)
    assert "cluster.train(…, feed='validation')" in caplog.text


def test_a_feed_that_comes_late_is_read(spark):
    with tsm.Cluster(ask_for_validation, spark=spark, packages=()) as cluster:
        assert not cluster.wait(0.1)
        assert cluster.train(spark.range(7), feed="validation").rows == 7
