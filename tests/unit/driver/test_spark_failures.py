"""Spark's exceptions, as Spark words them, become failures of a cluster."""

from __future__ import annotations

import pytest

from tensorsparkml.driver.spark.failures import feed_failure, interruption, launch_failure

NODES = ["chief:0", "worker:0"]
PYTHON_ERROR = """\
[PYTHON_EXCEPTION] An exception was thrown from the Python worker: Job aborted due to \
stage failure: \
Task 1 in stage 3.0 failed 4 times, most recent failure: Lost task 1.3 in stage 3.0 (TID 12) \
(10.0.0.7 executor 2): org.apache.spark.api.python.PythonException: Traceback (most \
recent call last):
  File "/opt/spark/python/lib/pyspark.zip/pyspark/worker.py", line 1830, in main
    process()
  File "/home/user/etl.py", line 12, in parse
    return 1 / int(row.x)
           ~~^~~~~~~~~~~~
ZeroDivisionError: division by zero

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException\
(PythonRunner.scala:581)
\tat java.base/java.lang.Thread.run(Thread.java:840)

Driver stacktrace:
"""
LOST = """\
Job aborted due to stage failure: Could not recover from a failed barrier ResultStage. Most recent \
failure reason: Stage failed because barrier task ResultTask(0, 1) finished unsuccessfully.
ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Command exited \
with code 137
"""
MISMATCH = """\
[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.11 than that in driver: 3.12, \
PySpark cannot run with different minor versions.
"""
SLOTS = (
    "[SPARK-24819]: Barrier execution mode does not allow run a barrier stage that requires more "
    "slots than the total number of slots in the cluster currently."
)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    ("text", "kind", "part", "consequence"),
    [
        (MISMATCH, "VersionMismatchError", "3.11 than that in driver: 3.12", False),
        (
            LOST,
            "ExecutorLostError",
            "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: "
            "Command exited with code 137",
            True,
        ),
        ("Lost executor 3 on 10.0.0.7: worker lost", "ExecutorLostError", "executor 3", True),
        (SLOTS, "NotEnoughSlotsError", "more slots than the total", False),
        (
            "o.a.s.scheduler.BarrierJobSlotsNumberCheckFailed",
            "NotEnoughSlotsError",
            "Barrier",
            False,
        ),
    ],
    ids=["python", "executor failure", "lost executor", "slots", "slots class"],
)
def test_what_spark_names_gets_its_class(
    text: str, kind: str, part: str, consequence: bool, direct: bool
) -> None:
    failure = launch_failure(RuntimeError(text), NODES, direct=direct)
    assert (failure.kind, failure.consequence) == (kind, consequence)
    assert part in failure.message
    assert failure.node is None


def test_a_launch_that_failed_otherwise_is_a_launch_error() -> None:
    failure = launch_failure(RuntimeError("Job 3 was cancelled"), NODES, direct=False)
    assert failure.kind == "LaunchError"
    assert failure.message == "Spark could not run the nodes: Job 3 was cancelled"


@pytest.mark.parametrize("direct", [False, True])
def test_a_launch_task_whose_worker_dies_suffers_from_something_else(direct: bool) -> None:
    text = LOST.replace("ExecutorLostFailure", "SparkException: Python worker exited unexpectedly")
    failure = launch_failure(RuntimeError(text), NODES, direct=direct)
    assert (failure.kind, failure.node, failure.consequence) == ("LaunchError", "worker:0", True)


def test_a_launch_that_also_feeds_may_fail_over_the_rows() -> None:
    failure = launch_failure(RuntimeError(PYTHON_ERROR), NODES, direct=True)
    assert failure == feed_failure(RuntimeError(PYTHON_ERROR), "train")


def test_a_feed_that_failed_names_what_python_raised() -> None:
    failure = feed_failure(RuntimeError(PYTHON_ERROR), "validation")
    assert failure.kind == "FeedError"
    assert failure.message == (
        "Spark could not deliver partition 1 (10.0.0.7 executor 2) of feed 'validation': "
        "ZeroDivisionError: division by zero"
    )
    assert 'File "/home/user/etl.py", line 12, in parse' in str(failure.remote_traceback)
    assert not failure.consequence


def test_a_launch_task_that_failed_names_its_node() -> None:
    text = LOST.replace("ExecutorLostFailure", "ModuleNotFoundError: No module named 'pyarrow'")
    failure = launch_failure(RuntimeError(text), NODES, direct=False)
    assert failure.kind == "MissingPackageError"
    assert failure.node == "worker:0"
    assert failure.message.startswith("the executor's Python lacks pyarrow;")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (
            "ImportError: /usr/bin/python3 on host7 cannot import tensorsparkml: No module named "
            "'tensorsparkml'; install it",
            "MissingPackageError",
        ),
        (
            "ConnectionError: this executor cannot reach the driver's coordinator at x:1: no route",
            "LaunchError",
        ),
    ],
)
@pytest.mark.parametrize("direct", [False, True])
def test_what_a_launch_task_says_is_passed_on(raised: str, kind: str, direct: bool) -> None:
    text = LOST.replace("ExecutorLostFailure", f"Traceback:\n{raised}\n")
    failure = launch_failure(RuntimeError(text), NODES, direct=direct)
    assert (failure.kind, failure.node) == (kind, "worker:0")
    assert failure.message == raised.partition(": ")[2]


@pytest.mark.parametrize(
    "raised",
    ["pkg.errors.ParseError: bad row", "urllib3.exceptions.Timeout2Error: slow", "KeyError: 'x'"],
)
def test_the_class_may_have_any_name(raised: str) -> None:
    text = PYTHON_ERROR.replace("ZeroDivisionError: division by zero", raised)
    assert feed_failure(RuntimeError(text), "train").message.endswith(f": {raised}")


def test_without_a_python_traceback_the_text_is_all_there_is() -> None:
    failure = feed_failure(RuntimeError("[DIVIDE_BY_ZERO] Division by zero."), "train")
    assert failure.message.endswith("'train': [DIVIDE_BY_ZERO] Division by zero.")


def test_without_a_python_traceback_the_jvm_tells_what_was_raised_and_why() -> None:
    text = """An error occurred while calling o59.collectToPython.
: org.apache.spark.SparkException: [FAILED_READ_FILE.NO_HINT] cannot read file:///rows.parquet.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.cannotReadFilesError(A.scala:1)
Caused by: java.util.concurrent.ExecutionException: it failed
\tat org.apache.spark.util.ThreadUtils$.awaitResult(B.scala:1)
Caused by: java.lang.RuntimeException: rows.parquet is not a Parquet file
\t... 43 more
"""
    assert feed_failure(RuntimeError(text), "train").message == (
        "Spark could not deliver feed 'train': org.apache.spark.SparkException: "
        "[FAILED_READ_FILE.NO_HINT] cannot read file:///rows.parquet., because of "
        "java.lang.RuntimeException: rows.parquet is not a Parquet file"
    )


def test_endless_texts_are_cut() -> None:
    error = RuntimeError("x" * 100_000)
    for failure in (feed_failure(error, "train"), launch_failure(error, NODES, direct=False)):
        assert len(failure.message) < 4200
        assert failure.message.endswith(" …")


@pytest.mark.parametrize(
    "raised",
    [
        "java.lang.InterruptedException",
        "java.io.InterruptedIOException: getFileStatus",
        "java.nio.channels.ClosedByInterruptException",
    ],
)
def test_an_interrupted_thread(raised: str) -> None:
    said = interruption(
        RuntimeError(f"An error occurred while calling o7.collect.\n: {raised}\n\tat")
    )
    assert said is not None and "\tat" not in said
    assert said.startswith(
        "py4j.protocol.Py4JJavaError: An error occurred while calling o7.collect."
    )
    assert raised.split(":")[0] in said


@pytest.mark.parametrize("text", ["java.lang.InterruptedException", PYTHON_ERROR])
def test_what_is_no_interruption(text: str) -> None:
    assert interruption(RuntimeError(text)) is None
