"""The jobs of a cluster belong to the thread that starts it."""

import threading

import pytest

import tensorsparkml as tsm


@pytest.fixture
def group(spark):
    context = spark.sparkContext
    context.setJobGroup("churn", "training of the churn model")
    yield "churn"
    for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel"):
        context.setLocalProperty(name, None)


def read(args, ctx):
    feed = ctx.feed()
    while not feed.should_stop():
        feed.next_batch(10)


def wait(args, ctx):
    threading.Event().wait()


def test_jobs_have_the_group_of_the_caller(spark, group):
    before = set(spark.sparkContext.statusTracker().getJobIdsForGroup(group))
    with tsm.Cluster(read, spark=spark, packages=()) as cluster:
        cluster.train(spark.range(10))
    jobs = set(spark.sparkContext.statusTracker().getJobIdsForGroup(group)) - before
    assert len(jobs) == 2  # the launch job and the feeding job


def test_cancelling_the_group_ends_the_cluster(spark, group):
    with (
        pytest.raises(tsm.errors.LaunchError, match="cancelled job group churn"),
        tsm.Cluster(wait, spark=spark, packages=(), slots="hold"),
    ):
        spark.sparkContext.cancelJobGroup(group)
