"""Clusters that cannot run are refused, with what to change, before or while they start."""

import os
import sys
import threading

import pytest
from event import NO_TIMEOUTS

import tensorsparkml as tsm
from tensorsparkml import errors


def read_all(args, ctx):
    feed = ctx.feed()
    while not feed.should_stop():
        feed.next_batch(32)


# Before anything is launched


def test_too_few_slots(spark):
    with pytest.raises(errors.NotEnoughSlotsError) as caught:
        tsm.run(read_all, spark=spark, num_workers=5, **NO_TIMEOUTS)
    for text in ("5 nodes", "4 task slots", "spark.executor.instances", "num_workers"):
        assert text in caught.value.message


def test_no_slot_left_to_feed(spark):
    with pytest.raises(errors.NotEnoughSlotsError) as caught:
        tsm.Cluster(read_all, spark=spark, num_workers=4, slots="hold", **NO_TIMEOUTS).start()
    assert 'slots="release"' in caught.value.message


def test_main_cannot_be_pickled(spark):
    lock = threading.Lock()

    def main(args, ctx):
        return lock.locked()

    with pytest.raises(errors.UnpicklableError, match=r"^main cannot be sent") as caught:
        tsm.run(main, spark=spark, num_workers=2, **NO_TIMEOUTS)
    assert caught.value.node is None
    assert "lock" in caught.value.message


def test_result_cannot_be_pickled(spark, event):
    def main(args, ctx):
        event.happen()
        return threading.Lock()

    with pytest.raises(errors.UnpicklableError, match=r"history\.history") as caught:
        tsm.run(main, spark=spark, num_workers=1, **NO_TIMEOUTS)
    assert event.happened
    assert caught.value.node == "chief:0"
    assert "cannot pickle '_thread.lock' object" in caught.value.remote_traceback


# Executors with another Python


@pytest.fixture
def worker_python(spark, tmp_path):
    """A folder that comes first on the module path of Spark's Python workers."""
    environment = spark.sparkContext.environment
    environment["PYTHONPATH"] = str(tmp_path)
    yield tmp_path
    del environment["PYTHONPATH"]


HIDE = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == {name!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Hide())
"""


def refused(spark, kind):
    """Start a cluster which these executors cannot run."""
    with pytest.raises(kind) as caught:
        tsm.run(read_all, spark=spark, num_workers=2, **NO_TIMEOUTS)
    return caught.value


def test_executors_lack_this_library(spark, worker_python):
    (worker_python / "sitecustomize.py").write_text(HIDE.format(name="tensorsparkml"))
    error = refused(spark, errors.MissingPackageError)
    assert error.node in ("chief:0", "worker:0")
    assert f"install tensorsparkml=={tsm.__version__}" in error.message
    assert sys.executable in error.message


def test_executors_lack_tensorflow(spark, worker_python):
    (worker_python / "sitecustomize.py").write_text(HIDE.format(name="tensorflow"))
    error = refused(spark, errors.MissingPackageError)
    assert error.node == "chief:0"
    assert f"{sys.executable} on {os.uname().nodename} lacks tensorflow" in error.message


def test_executors_have_another_version(spark, worker_python):
    (worker_python / "sitecustomize.py").write_text(
        "import tensorsparkml._version as version\nversion.__version__ = '0.0.1'\n"
    )
    error = refused(spark, errors.VersionMismatchError)
    assert error.node == "chief:0"
    assert f"the driver has tensorsparkml {tsm.__version__}" in error.message
    assert "has 0.0.1" in error.message


def test_executors_run_another_python(spark, monkeypatch):
    # Spark's workers compare their version with the one that the driver says it has.
    monkeypatch.setattr(spark.sparkContext, "pythonVer", "3.9")
    error = refused(spark, errors.VersionMismatchError)
    assert error.node in ("chief:0", "worker:0")
    running = ".".join(map(str, sys.version_info[:2]))
    assert f"different version: {running} than that in driver: 3.9" in error.message
