"""What an agent reacts to, besides the coordinator's directives."""

from __future__ import annotations

from dataclasses import dataclass

from tensorsparkml.control.protocol.directives import End, Stop


@dataclass(frozen=True)
class TrainerExited:
    """The trainer's process has ended."""

    status: int


@dataclass(frozen=True)
class TaskEnded:
    """The launch task's end of the pipe is closed."""

    released: bool


@dataclass(frozen=True)
class DriverGone:
    """The driver has ended, or has not replied for the heartbeat timeout."""

    reason: str


@dataclass(frozen=True)
class ExecutorGone:
    """The executor's JVM has ended."""


@dataclass(frozen=True)
class MainBegan:
    """The trainer's process has started, and runs main."""


@dataclass(frozen=True)
class AskingOver:
    """The evaluator's grace period is over."""


@dataclass(frozen=True)
class GraceOver:
    """The grace period of a trainer that was asked to stop is over."""


Event = (
    TrainerExited
    | TaskEnded
    | DriverGone
    | ExecutorGone
    | MainBegan
    | AskingOver
    | GraceOver
    | End
    | Stop
)
