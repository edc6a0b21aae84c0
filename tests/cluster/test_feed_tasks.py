"""Spark repeats tasks that fail: rows count once all the same."""

import itertools
import os
import signal
import threading

from node_processes import wait_until
from pyspark.sql import functions as F

import tensorsparkml as tsm

ROWS = 60_000


def read_ids(args, ctx):
    feed, ids = ctx.feed(), []
    while not feed.should_stop():
        ids += [int(number) for number in feed.next_batch(500)["id"]]
    return ids


def rows_read(spark, data):
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster:
        report = cluster.train(data)
    assert report.rows == ROWS
    first, second = cluster.results
    assert abs(len(first) - len(second)) <= 1
    return sorted(itertools.chain(first, second))


def test_a_task_that_fails_in_the_middle_is_repeated(spark, small_record_batches):
    @F.udf("long")
    def fail_at_first(number):
        from pyspark import TaskContext

        # After the partition's first record batches have gone to the nodes.
        if number == 58_000 and TaskContext.get().attemptNumber() < 2:
            raise OSError("the disk was away")
        return number

    data = spark.range(0, ROWS, 1, 3).select(fail_at_first("id").alias("id"))
    assert rows_read(spark, data) == list(range(ROWS))


def test_a_task_that_is_killed_in_the_middle_is_repeated(spark, small_record_batches):
    @F.udf("long")
    def die_at_first(number):
        from pyspark import TaskContext

        if number == 58_000 and TaskContext.get().attemptNumber() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    data = spark.range(0, ROWS, 1, 3).select(die_at_first("id").alias("id"))
    assert rows_read(spark, data) == list(range(ROWS))


def test_another_spark_job_runs_beside_the_training(spark, tmp_path):
    """The nodes hold two of the four slots; another job has one of the others all the while."""
    running, release = tmp_path / "running", tmp_path / "release"
    paths = str(running), str(release)

    @F.udf("long")
    def occupy(number):
        import time

        began, end = paths
        open(began, "w").close()
        while not os.path.exists(end):
            time.sleep(0.02)
        return number

    found = []
    other = threading.Thread(
        target=lambda: found.extend(spark.range(0, 1, 1, 1).select(occupy("id")).collect())
    )
    other.start()
    try:
        with tsm.Cluster(read_ids, spark=spark, num_workers=2, slots="hold") as cluster:
            assert wait_until(running.exists)
            report = cluster.train(spark.range(0, ROWS, 1, 3))
            assert other.is_alive()
        assert report.rows == ROWS
        assert sorted(itertools.chain(*cluster.results)) == list(range(ROWS))
    finally:
        release.touch()
        other.join(300)
    assert len(found) == 1
