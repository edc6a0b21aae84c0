"""No process is left behind."""

from collections.abc import Iterator

import pytest
from event import Event
from node_processes import node_processes, wait_until


@pytest.fixture
def small_record_batches(spark):
    """Record batches of which many fit into Spark's buffers, so that streams end between two."""
    setting = "spark.sql.execution.arrow.maxRecordsPerBatch"
    spark.conf.set(setting, "1000")
    yield
    spark.conf.unset(setting)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    # Those of a fixture of the module may just be ending.
    assert wait_until(lambda: not node_processes(), 20.0), "an earlier test left processes"
    yield
    # Only what a test starts and the library must end by itself; nothing is waited for here but
    # the moment in which a killed process is still listed. What ends only because it has not
    # heard of the driver for too long takes more time than this.
    assert wait_until(lambda: not node_processes(), 20.0), node_processes()


@pytest.fixture
def event(tmp_path):
    return Event(tmp_path)
