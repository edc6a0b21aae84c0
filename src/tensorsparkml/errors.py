"""Every error of the library.

```
TensorSparkMLError
├── ConfigurationError           a setting or an argument cannot work
│   ├── NotEnoughGpusError       a node cannot get the requested GPUs
│   ├── NotEnoughSlotsError      the Spark application has too few task slots
│   ├── RemovedNameError         a name of TensorFlowOnSpark that has no equal here is imported
│   └── UnsupportedVersionError  this library does not recognise a TensorFlow, Keras or Spark
├── MissingPackageError          a Python package, or Java, is missing
├── VersionMismatchError         driver and executors run different versions
├── UnpicklableError             main, its arguments or its result cannot be sent
├── DataError                    the rows do not fit what the program asked for
│   ├── EmptyFeedError
│   ├── MissingColumnError
│   ├── NullValueError
│   ├── RaggedColumnError
│   ├── ShapeMismatchError
│   ├── SpentFeedError           the rows are gone, and Spark does not send them again
│   └── UnsupportedColumnError
├── FeedError                    Spark could not produce or deliver the rows
│   └── UnknownFeedError         a program asks for a feed that the driver does not deliver
├── InferenceError               a model cannot be loaded, or gives no results
├── LaunchError                  the nodes could not be started
└── NodeError                    a node failed while it ran
    ├── MainError                main raised
    ├── MainExitError            main ended its process: sys.exit(3), os._exit(3)
    ├── TrainerKilledError       a signal ended the node's TensorFlow process
    │   └── TrainerOutOfMemoryError  the kernel killed it for lack of memory
    ├── TrainerHungError         the TensorFlow process does not respond, and others wait for it
    ├── AgentLostError           the process beside the trainer is gone, or does not respond
    └── ExecutorLostError        the Spark executor of the node is gone
```

An error from a node has the node's name, the remote traceback and the last lines that the node
printed. Its `others` lists the failures that followed it, which it usually caused.
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
    "RemovedNameError",
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
        node: Name of the node, such as `worker:1`, or None for the driver.
        remote_traceback: The traceback as the node formatted it, or None.
        log_tail: The last lines that the node printed.
        others: One line about each failure that followed, in order.
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
    """A setting or an argument cannot work."""


class NotEnoughGpusError(ConfigurationError):
    """A node cannot get the requested number of GPUs."""


class NotEnoughSlotsError(ConfigurationError):
    """The Spark application has fewer task slots than the cluster needs."""


class RemovedNameError(ConfigurationError, ImportError):
    """A program imports what was internal to TensorFlowOnSpark, and has no equal here."""


class UnsupportedVersionError(ConfigurationError):
    """This library does not recognise the internals of the installed TensorFlow, Keras or Spark."""


class MissingPackageError(TensorSparkMLError):
    """A Python package, or Java, is missing on the driver or on an executor."""


class VersionMismatchError(TensorSparkMLError):
    """The driver and an executor run different versions of Python or of this library."""


class UnpicklableError(TensorSparkMLError):
    """The main function, its arguments or its result cannot be sent to another process."""


class DataError(TensorSparkMLError):
    """The rows do not fit what the program asked for."""


class EmptyFeedError(DataError):
    """There are fewer rows than nodes, or too few for a full batch on each node."""


class MissingColumnError(DataError):
    """A requested column is not in the feed."""


class NullValueError(DataError):
    """A column has a null, but the tensor needs a value."""


class RaggedColumnError(DataError):
    """A column has lists of different lengths, but the tensor needs a fixed shape."""


class ShapeMismatchError(DataError):
    """A requested shape does not fit the number of values in a row."""


class SpentFeedError(DataError):
    """The rows of a feed were dropped or deleted, and Spark does not send them again."""


class UnsupportedColumnError(DataError):
    """A column has a type that cannot become a tensor."""


class InferenceError(TensorSparkMLError):
    """A model cannot be loaded or has failed, or a node did not return the results."""


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
    """Return the error class of that name, or None if there is none."""
    found = getattr(sys.modules[__name__], name, None)
    return found if isinstance(found, type) and issubclass(found, TensorSparkMLError) else None
