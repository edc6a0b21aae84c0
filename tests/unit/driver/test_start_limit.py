"""The limit of a start counts while Spark has nothing else to do."""

import pytest

from tensorsparkml.driver.lifecycle.start_limit import StartLimit
from tensorsparkml.driver.spark.activity import Activity


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limit(clock):
    return StartLimit(10.0, 2, clock)


def test_time_counts_while_only_the_nodes_tasks_run(limit, clock):
    for seconds in range(1, 11):
        clock.now += 1
        assert not limit.look(Activity(running=2, completed=0), held=0)
        assert limit.remaining == 10 - seconds
    clock.now += 1
    assert limit.remaining == 0


def test_time_does_not_count_while_more_tasks_run(limit, clock):
    for _ in range(5):
        clock.now += 9
        assert limit.look(Activity(running=3, completed=0), held=0)
    assert limit.remaining == 10


def test_tasks_of_other_clusters_are_not_work(limit, clock):
    clock.now += 4
    assert not limit.look(Activity(running=4, completed=0), held=2)
    assert limit.remaining == 6


def test_tasks_that_end_are_work(limit, clock):
    clock.now += 4
    assert not limit.look(Activity(running=1, completed=3), held=0)
    assert limit.look(Activity(running=1, completed=4), held=0)
    assert limit.remaining == 10
    assert not limit.look(Activity(running=1, completed=4), held=0)
