"""Every way in which a cluster can fail, on real executors.

Nothing here is noticed because time has passed: the limits are set to ten hours. So each failure
must be noticed by what it breaks, and no process is left.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest
from event import NO_TIMEOUTS
from pyspark.sql import functions as F
from pyspark.sql.types import FloatType

import tensorsparkml as tsm
from tensorsparkml import errors


class MemoryGroup:
    """A Linux control group with little memory."""

    def __init__(self, folder: Path, limit: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / limit).write_text(str(256 * 2**20))

    def join(self) -> None:
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))


@pytest.fixture
def memory_group():
    root = Path("/sys/fs/cgroup")
    version_1 = (root / "memory").exists()
    folder = (root / "memory" if version_1 else root) / f"tensorsparkml-test-{os.getpid()}"
    limit = "memory.limit_in_bytes" if version_1 else "memory.max"
    try:
        group = MemoryGroup(folder, limit)
    except OSError as error:
        pytest.skip(f"only root can make a control group that limits memory: {error}")
    yield group
    folder.rmdir()


def fail_on(rank, event, action):
    """Return a main in which one node acts and the others wait forever."""

    def main(args, ctx):
        print(f"node {ctx.rank} is here", flush=True)
        if ctx.rank != rank:
            threading.Event().wait()
        event.happen()
        action()

    return main


def raised(spark, event, main, kind, node, **settings):
    """Run a main that fails and check what every failure has in common."""
    with pytest.raises(kind) as caught:
        tsm.run(main, {}, spark=spark, num_workers=2, **NO_TIMEOUTS, **settings)
    assert event.happened
    assert caught.value.node == node
    return caught.value


def test_main_raises(spark, event):
    def action():
        raise ValueError("the third weight is odd")

    error = raised(spark, event, fail_on(1, event, action), errors.MainError, "worker:0")
    assert "ValueError: the third weight is odd" in error.message
    assert 'raise ValueError("the third weight is odd")' in error.remote_traceback
    assert "node 1 is here" in error.log_tail
    assert str(error).startswith("[worker:0] main raised ValueError: the third weight is odd")


def test_main_calls_exit(spark, event):
    error = raised(
        spark, event, fail_on(0, event, lambda: sys.exit(3)), errors.MainExitError, "chief:0"
    )
    assert "sys.exit(3)" in error.message
    assert "SystemExit" in error.remote_traceback


def test_main_ends_its_process(spark, event):
    error = raised(
        spark, event, fail_on(1, event, lambda: os._exit(3)), errors.MainExitError, "worker:0"
    )
    assert "exit status 3" in error.message
    assert "node 1 is here" in error.log_tail


def test_trainer_is_killed(spark, event):
    def action():
        os.kill(os.getpid(), signal.SIGKILL)

    error = raised(spark, event, fail_on(1, event, action), errors.TrainerKilledError, "worker:0")
    assert type(error) is errors.TrainerKilledError
    assert "SIGKILL" in error.message
    assert "node 1 is here" in error.log_tail


def test_trainer_runs_out_of_memory(spark, event, memory_group):
    def action():
        memory_group.join()
        held = []
        while True:
            held.append(bytearray(os.urandom(2**20)))

    error = raised(
        spark, event, fail_on(1, event, action), errors.TrainerOutOfMemoryError, "worker:0"
    )
    assert "for lack of memory" in error.message
    assert "spark.executor.memoryOverhead" in error.message


@pytest.mark.parametrize("slots", ["hold", "release"])
def test_agent_is_killed(spark, event, slots):
    def action():
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()

    error = raised(
        spark, event, fail_on(1, event, action), errors.AgentLostError, "worker:0", slots=slots
    )
    assert "agent" in error.message


def end_python_daemon(args, ctx):
    feed = ctx.feed()
    feed.next_batch(1)
    # trainer → agent → the Python worker that holds the slot → what Spark forks its workers from
    daemon = psutil.Process().parents()[2]
    assert "pyspark.daemon" in daemon.cmdline()
    daemon.terminate()
    ended = psutil.wait_procs([daemon])[0]
    rows = 1
    while not feed.should_stop():
        rows += len(feed.next_batch(10)["id"])
    return len(ended), rows


def test_python_daemon_is_restarted(spark):
    """Spark restarts it when a task is killed that is about to get its Python worker."""
    with tsm.Cluster(end_python_daemon, spark=spark, num_workers=2) as cluster:
        cluster.train(spark.range(100))
    assert cluster.results == [(1, 50), (1, 50)]
    assert spark.range(5).mapInArrow(lambda batches: batches, "id long").count() == 5


def environment_of(process):
    """The environment of a process, which is empty for one that has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.environ()
    return {}


def kill_executor():
    # Spark gives an executor and all that it starts the same folders.
    mine = os.environ["SPARK_EXECUTOR_DIRS"]
    jvms = [process for process in psutil.process_iter() if process.name() == "java"]
    next(jvm for jvm in jvms if environment_of(jvm).get("SPARK_EXECUTOR_DIRS") == mine).kill()


def kill_executor_unseen(other):
    """Let Spark tell the driver, and the driver end the other node, before this agent looks."""
    agent = psutil.Process().parent()
    agent.suspend()
    kill_executor()
    psutil.wait_procs([other])
    agent.resume()


@pytest.mark.parametrize(
    ("slots", "seen"),
    [("hold", True), ("release", True), pytest.param("hold", False, marks=pytest.mark.full)],
)
def test_executor_is_killed(spark, event, tmp_path, slots, seen):
    def main(args, ctx):
        name = f"{ctx.role}:{ctx.task_index}"
        Path(args, f"{ctx.rank}.pid").write_text(str(os.getpid()))
        Path(args, name).write_text(os.environ["SPARK_EXECUTOR_DIRS"])
        if ctx.rank == 1:
            while len(list(Path(args).glob("*:*"))) < 2:
                threading.Event().wait(0.02)
            event.happen()
            other = psutil.Process(int(Path(args, "0.pid").read_text()))
            kill_executor() if seen else kill_executor_unseen(other)
        threading.Event().wait()

    with pytest.raises(errors.ExecutorLostError) as caught:
        tsm.run(main, str(tmp_path), spark=spark, num_workers=2, slots=slots, **NO_TIMEOUTS)
    assert event.happened
    assert "JVM" in caught.value.message
    # Spark may have put both nodes on one executor, of which either may be named first.
    lost = (tmp_path / "worker:0").read_text()
    assert (tmp_path / caught.value.node).read_text() == lost
    # Spark starts another executor, and the application goes on.
    assert tsm.run(lambda args, ctx: ctx.rank, spark=spark, num_workers=2) == [0, 1]


def test_what_fails_after_the_cause_is_listed_under_it(spark, event):
    ready = Path(f"{event.path}-ready")

    def main(args, ctx):
        import tensorflow as tf

        if ctx.rank == 1:
            while not ready.exists():
                threading.Event().wait(0.02)
            event.happen()
            raise ValueError("the third weight is odd")
        ready.touch()
        while not Path(event.path).exists():
            threading.Event().wait(0.02)
        # What TensorFlow raises in a collective operation whose other node is gone.
        raise tf.errors.UnavailableError(None, None, "Connection reset by peer")

    error = raised(spark, event, main, errors.MainError, "worker:0")
    assert "the third weight is odd" in error.message
    (other,) = error.others
    assert other.startswith("[chief:0] MainError: main raised UnavailableError")
    assert "Connection reset by peer" in other
    assert f"Failed after it:\n    {other}" in str(error)


# The rows


def training_rows(spark, **columns):
    return spark.range(0, 400, 1, 4).select(
        *(column.alias(name) for name, column in columns.items())
    )


def read_all(args, ctx):
    feed = ctx.feed()
    while not feed.should_stop():
        feed.next_batch(32)


def broken_rows(spark, event):
    path = event.path  # Spark cannot send objects of this module

    @F.udf(FloatType())
    def parse(number):
        if number == 250:
            Path(path).touch()
            raise ValueError("row 250 is not a number")
        return float(number)

    return training_rows(spark, x=parse("id"))


def check_broken_rows(error, event):
    assert event.happened
    assert error.node is None  # the node that was to get the row has nothing to do with it
    assert "row 250 is not a number" in error.message
    assert "feed 'train'" in error.message
    assert 'raise ValueError("row 250 is not a number")' in error.remote_traceback


def test_rows_cannot_be_computed_by_a_feeding_job(spark, event):
    with (
        pytest.raises(errors.FeedError) as caught,
        tsm.Cluster(read_all, spark=spark, num_workers=2, **NO_TIMEOUTS) as cluster,
    ):
        cluster.train(broken_rows(spark, event))
    check_broken_rows(caught.value, event)


def test_rows_cannot_be_computed_by_the_launch_tasks(spark, event):
    with pytest.raises(errors.FeedError) as caught:
        tsm.run(read_all, spark=spark, num_workers=2, data=broken_rows(spark, event), **NO_TIMEOUTS)
    check_broken_rows(caught.value, event)


@pytest.mark.parametrize("slots", ["hold", "release"])
def test_no_result_is_made_of_half_of_the_rows(spark, small_record_batches, slots):
    # Where Spark fails in the middle of a partition, the rest of it is just not there, and the
    # programs may have ended before the failure is known.
    data = spark.range(0, 100_000, 1, 2).selectExpr("1 / (id - 95000) AS x")
    with pytest.raises(errors.FeedError, match="DIVIDE_BY_ZERO"):
        tsm.run(read_all, spark=spark, num_workers=2, data=data, slots=slots)


def read_dataset(args, ctx):
    for _ in ctx.dataset(batch_size=32):
        pass


@pytest.mark.parametrize("read", [read_all, pytest.param(read_dataset, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    ("column", "kind", "texts"),
    [
        ("map('a', id)", errors.UnsupportedColumnError, ["'x'", "map"]),
        (
            "if(id = 250, array(1F), array(1F, 2F))",
            errors.RaggedColumnError,
            ["'x'", "row 50 of partition 2", "1", "2"],
        ),
        ("if(id = 250, null, id)", errors.NullValueError, ["'x'", "row 50 of partition 2"]),
    ],
)
def test_values_that_do_not_fit(spark, event, read, column, kind, texts):
    def main(args, ctx):
        event.happen()
        read(args, ctx)

    with (
        pytest.raises(kind) as caught,
        tsm.Cluster(main, spark=spark, num_workers=2, **NO_TIMEOUTS) as cluster,
    ):
        cluster.train(training_rows(spark, x=F.expr(column)))
    assert event.happened
    for text in texts:
        assert text in caught.value.message
    assert caught.value.node in cluster.nodes
    assert read.__name__ in caught.value.remote_traceback


def test_main_fails_while_it_is_fed(spark, event):
    main = fail_on(0, event, lambda: [][0])
    with (
        pytest.raises(errors.MainError) as caught,
        tsm.Cluster(main, spark=spark, num_workers=2, **NO_TIMEOUTS) as cluster,
    ):
        cluster.train(spark.range(10_000_000))
    assert event.happened
    assert caught.value.node == "chief:0"
    assert "IndexError" in caught.value.message
