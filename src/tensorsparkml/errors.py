"""Every error of the library.

```
TensorSparkMLError
├── ConfigurationError           a setting or an argument that cannot work
│   ├── NotEnoughGpusError       a node cannot have the GPUs that were asked for
│   ├── NotEnoughSlotsError      the Spark application has too few task slots
│   └── UnsupportedVersionError  a TensorFlow, Keras or Spark this version does not know
├── MissingPackageError          Python or Java lacks something
├── VersionMismatchError         driver and executors run different versions
├── UnpicklableError             main, its arguments or its result cannot be sent
├── DataError                    the rows are not what was asked for
│   ├── EmptyFeedError
│   ├── MissingColumnError
│   ├── NullValueError
│   ├── RaggedColumnError
│   ├── ShapeMismatchError
│   ├── SpentFeedError           its rows are gone, and do not come again
│   └── UnsupportedColumnError
├── FeedError                    Spark could not produce or deliver the rows
│   └── UnknownFeedError         a program asks for a feed that the driver does not deliver
├── InferenceError               a node did not give the results of an inference
├── LaunchError                  the nodes could not be started
└── NodeError                    a node failed while it ran
    ├── MainError                main raised
    ├── MainExitError            main ended its process: sys.exit(3), os._exit(3)
    ├── TrainerKilledError       a signal ended the node's TensorFlow process
    │   └── TrainerOutOfMemoryError  … sent by the kernel for lack of memory
    ├── TrainerHungError         the TensorFlow process does not respond, and others wait for it
    ├── AgentLostError           the process beside the trainer is gone, or does not respond
    └── ExecutorLostError        the Spark executor of the node is gone
```

An error that comes from a node carries the node's name, the remote traceback and the last lines
that the node printed; what failed after it, usually because of it, is listed in `others`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

__all__ = [
    "AgentLostError",
    "ConfigurationError",
    "DataError",
    "EmptyFeedError",
    "ExecutorLostError",
    "FeedError",
    "InferenceError",
    "LaunchError",
    "MainError",
    "MainExitError",
    "MissingColumnError",
    "MissingPackageError",
    "NodeError",
    "NotEnoughGpusError",
    "NotEnoughSlotsError",
    "NullValueError",
    "RaggedColumnError",
    "ShapeMismatchError",
    "SpentFeedError",
    "TensorSparkMLError",
    "TrainerHungError",
    "TrainerKilledError",
    "TrainerOutOfMemoryError",
    "UnknownFeedError",
    "UnpicklableError",
    "UnsupportedColumnError",
    "UnsupportedVersionError",
    "VersionMismatchError",
]


class TensorSparkMLError(Exception):
    """Base of all errors of this library.

    Attributes:
        message: What happened, where, and what to change.
        node: Name of the node it happened on, such as `worker:1`, or None for the driver.
        remote_traceback: The traceback as the node formatted it, or None.
        log_tail: The node's last output lines.
        others: Short descriptions of what failed after this, in order.
    """

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        remote_traceback: str | None = None,
        log_tail: Sequence[str] = (),
        others: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.node = node
        self.remote_traceback = remote_traceback
        self.log_tail = tuple(log_tail)
        self.others = tuple(others)

    def __str__(self) -> str:
        parts = [f"[{self.node}] {self.message}" if self.node else self.message]
        if self.remote_traceback:
            parts.append(
                "Remote traceback:\n" + _indent(self.remote_traceback.rstrip().split("\n"))
            )
        if self.log_tail:
            parts.append(f"Last lines of {self.node}:\n" + _indent(self.log_tail))
        if self.others:
            parts.append("Failed after it:\n" + _indent(self.others))
        return "\n".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        details = {
            "node": self.node,
            "remote_traceback": self.remote_traceback,
            "log_tail": self.log_tail,
            "others": self.others,
        }
        return _rebuild, (type(self), self.message, details)


def _indent(lines: Sequence[str]) -> str:
    return "\n".join("    " + line for line in lines)


def _rebuild(
    kind: type[TensorSparkMLError], message: str, details: dict[str, Any]
) -> TensorSparkMLError:
    return kind(message, **details)


class ConfigurationError(TensorSparkMLError):
    """A setting or an argument that cannot work."""


class NotEnoughGpusError(ConfigurationError):
    """A node cannot have as many GPUs as were asked for."""


class NotEnoughSlotsError(ConfigurationError):
    """The Spark application has fewer task slots than the cluster needs."""


class UnsupportedVersionError(ConfigurationError):
    """A version of TensorFlow, Keras or Spark whose internals this library does not know."""


class MissingPackageError(TensorSparkMLError):
    """A Python package, or Java, is missing on the driver or on an executor."""


class VersionMismatchError(TensorSparkMLError):
    """The driver and an executor run different versions of Python or of this library."""


class UnpicklableError(TensorSparkMLError):
    """The main function, its arguments or its result cannot be sent to another process."""


class DataError(TensorSparkMLError):
    """The rows are not what the program asked for."""


class EmptyFeedError(DataError):
    """There are too few rows: fewer than nodes, or than a full batch on each of them."""


class MissingColumnError(DataError):
    """A column that was asked for is not in the feed."""


class NullValueError(DataError):
    """A null where a value is needed."""


class RaggedColumnError(DataError):
    """Lists of different lengths where a fixed shape is needed."""


class ShapeMismatchError(DataError):
    """A shape that was asked for does not fit the number of values in a row."""


class SpentFeedError(DataError):
    """The rows of a feed were dropped, or deleted at its end, and do not come again."""


class UnsupportedColumnError(DataError):
    """A column whose type does not become a tensor."""


class InferenceError(TensorSparkMLError):
    """A node did not give the results of an inference."""


class FeedError(TensorSparkMLError):
    """Spark could not produce or deliver the rows of a feed."""


class UnknownFeedError(FeedError):
    """A program asks for a feed that the driver does not deliver."""


class LaunchError(TensorSparkMLError):
    """The nodes could not be started."""


class NodeError(TensorSparkMLError):
    """A node failed while it ran."""


class MainError(NodeError):
    """The user's main function raised an exception."""


class MainExitError(NodeError):
    """The user's main function ended its process instead of returning."""


class TrainerKilledError(NodeError):
    """A signal ended the node's TensorFlow process."""


class TrainerOutOfMemoryError(TrainerKilledError):
    """The kernel killed the node's TensorFlow process for lack of memory."""


class TrainerHungError(NodeError):
    """A node's TensorFlow process does not respond, and other nodes failed for that reason."""


class AgentLostError(NodeError):
    """The process that supervises a node is gone, or does not respond."""


class ExecutorLostError(NodeError):
    """The Spark executor that a node ran on is gone."""


def by_name(name: str) -> type[TensorSparkMLError] | None:
    """Return the error class of that name, or None when this module has none."""
    found = getattr(sys.modules[__name__], name, None)
    return found if isinstance(found, type) and issubclass(found, TensorSparkMLError) else None
