"""Failures as they travel ↔ the exceptions that users catch."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from tensorsparkml import errors
from tensorsparkml.control.cluster_state import describe
from tensorsparkml.control.messages import Failure


def to_error(root: Failure, others: Sequence[Failure]) -> errors.TensorSparkMLError:
    """Return the exception for a root cause, which lists what failed after it."""
    kind = errors.by_name(root.kind) or errors.NodeError
    return kind(
        root.message,
        node=root.node,
        remote_traceback=root.remote_traceback,
        log_tail=root.log_tail,
        others=[describe(failure) for failure in others],
    )


def from_exception(
    error: BaseException, *, kind: str, message: str, consequence: bool = False
) -> Failure:
    """Return the failure for an exception that user code raised.

    An error of this library keeps its class and its message, so that a user who catches, say,
    `NullValueError` at the driver gets it whichever process found the null.

    Args:
        error: The exception.
        kind: Class name for an exception that is not this library's.
        message: Message for the same.
        consequence: See `Failure.consequence`.
    """
    text = "".join(traceback.format_exception(error))
    if isinstance(error, errors.TensorSparkMLError):
        return Failure(type(error).__name__, error.message, remote_traceback=text)
    return Failure(kind, message, remote_traceback=text, consequence=consequence)
