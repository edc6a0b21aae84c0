"""Failures as they travel ↔ the exceptions that users catch."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from tensorsparkml import errors
from tensorsparkml.control.cluster_state import describe
from tensorsparkml.control.messages import Failure
from tensorsparkml.control.text import shorten

_MOST_MESSAGE = 2**14  # characters, of which an exception may have any number
_MOST_TRACEBACK = 2**16


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
    text = shorten("".join(traceback.format_exception(error)), _MOST_TRACEBACK)
    if isinstance(error, errors.TensorSparkMLError):
        kind, message, consequence = type(error).__name__, error.message, False
    message = shorten(message, _MOST_MESSAGE)
    return Failure(kind, message, remote_traceback=text, consequence=consequence)
