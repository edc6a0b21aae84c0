"""What an agent reacts to."""

from __future__ import annotations

from dataclasses import dataclass

from tensorsparkml.control.protocol.directives import End, Stop
from tensorsparkml.control.protocol.events import Finished
from tensorsparkml.control.protocol.failures import Failure


@dataclass(frozen=True)
class TrainerEnded:
    """The trainer's process has ended.

    Attributes:
        explanation: Why, should the process itself have reported nothing.
        executor_lost: Whether the executor's JVM has ended too.
    """

    explanation: Failure
    executor_lost: bool


@dataclass(frozen=True)
class TaskEnded:
    """The launch task's end of the pipe is closed.

    Attributes:
        released: Whether the task has given back its slot, and said so.
        executor_lost: Whether the executor's JVM has ended too.
    """

    released: bool
    executor_lost: bool


@dataclass(frozen=True)
class DriverGone:
    """The driver has ended, or has not replied for the heartbeat timeout."""

    reason: str


@dataclass(frozen=True)
class DirectivesLost:
    """The agent cannot carry out the driver's directives."""

    reason: str


@dataclass(frozen=True)
class ExecutorGone:
    """The executor's JVM has ended."""


@dataclass(frozen=True)
class MainBegan:
    """The trainer's process has started, and runs main."""


@dataclass(frozen=True)
class MainFailed:
    """The trainer's process has reported a failure."""

    failure: Failure


@dataclass(frozen=True)
class EndAwaited:
    """Main has asked whether training has ended, and returns by itself when it has."""


@dataclass(frozen=True)
class AskingOver:
    """The time is over in which a main beside the training may ask whether that has ended."""


@dataclass(frozen=True)
class GraceOver:
    """The grace period of a trainer that was asked to stop is over."""


Event = (
    MainBegan
    | MainFailed
    | Finished
    | EndAwaited
    | AskingOver
    | GraceOver
    | TrainerEnded
    | TaskEnded
    | ExecutorGone
    | DriverGone
    | DirectivesLost
    | End
    | Stop
)
