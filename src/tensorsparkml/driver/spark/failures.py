"""Spark's exceptions → failures of a cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tensorsparkml.control.protocol.failures import Failure, from_exception
from tensorsparkml.data.spool.transport import NodeGoneError
from tensorsparkml.driver.spark.remote_import import failed_import
from tensorsparkml.errors import TensorSparkMLError

# How Spark names the task that failed, its host and its executor, where it does so.
_TASK = re.compile(r"Lost task (?P<index>\d+)\.\d+ in stage \S+ \(TID \d+\) \((?P<place>[^)]*)\)")
_BARRIER_TASK = re.compile(r"barrier task ResultTask\(\d+, (?P<index>\d+)\)")
# With the reason, such as the exit code of the executor's process, where Spark knows one.
_LOST = re.compile(r"ExecutorLostFailure \([^)]*\)(?: Reason: .*)?|[Ll]ost executor \S+")
_LONGEST = 4000  # characters of Spark's message; the exception itself is logged by Spark


def launch_failure(error: Exception, nodes: Sequence[str], *, direct: bool) -> Failure:
    """Return the failure for an exception that ended the launch job.

    Args:
        error: What Spark raised.
        nodes: The nodes' names by rank, which is the index of the launch task.
        direct: Whether the job also computed the rows of a feed.
    """
    text = str(error)
    task = _BARRIER_TASK.search(text)
    node = nodes[int(task.group("index"))] if task else None
    if (lacks := failed_import(text)) is not None:
        return Failure("MissingPackageError", lacks, node=node)
    if missing := re.search(r"No module named '(pyarrow|pandas|numpy|tensorsparkml)'", text):
        return Failure(
            "MissingPackageError",
            f"the executor's Python lacks {missing.group(1)}; before you create the session, set "
            "PYSPARK_PYTHON to a Python that has this library and its dependencies",
            node=node,
            remote_traceback=_shorten(text),
        )
    if "PYTHON_VERSION_MISMATCH" in text:
        return Failure("VersionMismatchError", _shorten(_remote_error(text)), node=node)
    if lost := _LOST.search(text):
        # The node's own agent knows more; this is what is left when its host is gone as well.
        return Failure(
            "ExecutorLostError", f"Spark lost an executor: {lost.group()}", consequence=True
        )
    if "Python worker exited unexpectedly" in text:
        # Whatever killed it, the agent outlives it, and tells more if it has failed.
        return Failure(
            "LaunchError",
            "the Python worker of the Spark task that held this node's slot has died",
            node=node,
            remote_traceback=_shorten(text),
            consequence=True,
        )
    if "BarrierJobSlotsNumberCheckFailed" in text or "Barrier execution mode" in text:
        return Failure("NotEnoughSlotsError", _shorten(text))
    if unreachable := re.search(
        r"^ConnectionError: (this executor cannot reach .*)$", text, re.MULTILINE
    ):
        return Failure("LaunchError", unreachable.group(1), node=node)
    if direct:
        return feed_failure(error, "train")
    return Failure("LaunchError", f"Spark could not run the nodes: {_shorten(text)}", node=node)


def feed_failure(error: Exception, feed: str) -> Failure:
    """Return the failure for an exception that ended a feeding job or prevented it."""
    text = str(error)
    if isinstance(error, TensorSparkMLError):
        return from_exception(error, kind="FeedError", message=text)
    task = _TASK.search(text)
    part = f"partition {task.group('index')} ({task.group('place')}) of " if task else ""
    return Failure(
        "FeedError",
        f"Spark could not deliver {part}feed {feed!r}: {_shorten(_remote_error(text))}",
        remote_traceback=_shorten(text),
        # An agent that a feed task cannot reach is gone, which is then the cause.
        consequence=NodeGoneError.__name__ in text,
    )


def interruption(error: Exception) -> str | None:
    """Return PySpark's text for an interruption of its thread by Spark, or None for other errors.

    In the function of `foreachBatch`, which runs in the query's thread, an interruption means that
    the query is stopped. Spark recognises this text, and then ends the query without an error.
    """
    start = re.match(r"An error occurred while calling \S+\n: java\.\S*Interrupt\w+", str(error))
    return f"py4j.protocol.Py4JJavaError: {start.group()}" if start else None


def _remote_error(text: str) -> str:
    """Return what was raised, by the traceback of a Python worker, or else of the JVM."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*", line)]
    if raised:
        return raised[-1]
    outer = [line.removeprefix(": ") for line in lines if line.startswith(": ")][:1]
    causes = [line.partition(": ")[2] for line in lines if line.startswith("Caused by: ")][-1:]
    return ", because of ".join(outer + causes) or text


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
