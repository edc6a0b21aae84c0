"""Twenty clusters, one after the other, in one application: nothing adds up."""

import gc
import threading
from pathlib import Path

import psutil
import pytest

import tensorsparkml as tsm
from tensorsparkml.driver.lifecycle.coordinator import Coordinator

SLOTS = 4


def read(args, ctx):
    feed = ctx.feed()
    while not feed.should_stop():
        feed.next_batch(10)


def usage(work_dir):
    gc.collect()
    driver = psutil.Process()
    below = driver.children(recursive=True)
    executors = [process for process in below if process.name().startswith("java")]
    return {
        "coordinators": sum(isinstance(each, Coordinator) for each in gc.get_objects()),
        "threads of the driver": threading.active_count(),
        "files of the driver": driver.num_fds(),
        "files of the JVMs": sum(process.num_fds() for process in executors),
        "processes": len(below),
        "megabytes of the driver": driver.memory_info().rss // 2**20,
        "files of nodes": sum(
            path.suffix != ".log" and path.is_file() for path in Path(work_dir).rglob("*")
        ),
    }


# What differs from one moment to the next: Spark's own threads, connections and Python workers.
SLACK = {
    "threads of the driver": 4,
    "files of the driver": 8,
    "files of the JVMs": 40,
    "processes": SLOTS,
    "megabytes of the driver": 20,
}


@pytest.mark.full
def test_twenty_clusters_leave_no_more_than_five(spark, tmp_path):
    def run(clusters):
        for number in range(clusters):
            with tsm.Cluster(
                read, spark=spark, num_workers=2, packages=(), work_dir=str(tmp_path)
            ) as cluster:
                cluster.train(spark.range(100), cache=bool(number % 2))

    run(5)
    before = usage(tmp_path)
    run(20)
    after = usage(tmp_path)
    grown = {
        what: (count, after[what])
        for what, count in before.items()
        if after[what] > count + SLACK.get(what, 0)
    }
    assert grown == {}
    assert after["coordinators"] <= 1  # of the last one, whose frame may still be there
    assert after["files of nodes"] == 0
    assert len(list(tmp_path.glob("*/*"))) <= 21  # those whose logs are kept
