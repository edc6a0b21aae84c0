"""Spark's exceptions → failures of a cluster."""

from __future__ import annotations

import re

from tensorsparkml.control.messages import Failure

_LONGEST = 4000  # characters of Spark's message; the exception itself is logged by Spark


def launch_failure(error: Exception, *, direct: bool) -> Failure:
    """Return the failure for an exception that ended the launch job.

    Args:
        error: What Spark raised.
        direct: Whether the job also computed the rows of a feed.
    """
    text = str(error)
    if "PYTHON_VERSION_MISMATCH" in text:
        return Failure("VersionMismatchError", _shorten(text))
    if lost := re.search(r"ExecutorLostFailure \(.*?\)|[Ll]ost executor \S+", text):
        # The node's own agent knows more; this is what is left when its host is gone as well.
        return Failure(
            "ExecutorLostError", f"Spark lost an executor: {lost.group()}", consequence=True
        )
    if "BarrierJobSlotsNumberCheckFailed" in text or "Barrier execution mode" in text:
        return Failure("NotEnoughSlotsError", _shorten(text))
    if direct:
        return feed_failure(error, "train")
    return Failure("LaunchError", f"Spark could not run the nodes: {_shorten(text)}")


def feed_failure(error: Exception, feed: str) -> Failure:
    """Return the failure for an exception that ended a feeding job."""
    message = f"Spark could not deliver feed {feed!r}: {_shorten(_remote_error(str(error)))}"
    return Failure("FeedError", message, remote_traceback=_shorten(str(error)))


def _remote_error(text: str) -> str:
    """Return the line of a Python worker's traceback that says what was raised."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*", line)]
    return raised[-1] if raised else text


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
