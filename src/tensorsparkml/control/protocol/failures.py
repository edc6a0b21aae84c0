"""Failures as they travel ↔ the exceptions that users catch."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from tensorsparkml import errors
from tensorsparkml.control.text import shorten

_MOST_MESSAGE = 2**14  # characters, of which an exception may have any number
_MOST_TRACEBACK = 2**16
_LONGEST_LINE = 300  # characters of a failure that is one of several


@dataclass(frozen=True)
class Failure:
    """What went wrong, where.

    Attributes:
        kind: Name of a class in `tensorsparkml.errors`.
        message: What happened and what to change.
        node: Name of the node, or None for the driver.
        remote_traceback: The traceback as the node formatted it.
        log_tail: The node's last output lines.
        consequence: Whether this is what nodes suffer when another one fails first.
    """

    kind: str
    message: str
    node: str | None = None
    remote_traceback: str | None = None
    log_tail: tuple[str, ...] = ()
    consequence: bool = False


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


def describe(failure: Failure) -> str:
    """One line about a failure."""
    where = f"[{failure.node}] " if failure.node else ""
    return f"{where}{failure.kind}: {first_line(failure.message)}"


def first_line(text: str) -> str:
    """Return the first line of a text, shortened to what a person reads."""
    line = text.split("\n", 1)[0]
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " …"
