"""The life of one node as its agent sees it: events in, actions out. No processes and no clocks."""

from __future__ import annotations

from dataclasses import dataclass

from tensorsparkml.control.protocol.directives import End, Stop
from tensorsparkml.control.protocol.events import AwaitsEnd, Finished, Unawaited
from tensorsparkml.control.protocol.events import Event as Reported
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.executor.agent.events import (
    AskingOver,
    DirectivesLost,
    DriverGone,
    EndAwaited,
    Event,
    ExecutorGone,
    GraceOver,
    MainBegan,
    MainFailed,
    TaskEnded,
    TrainerEnded,
)

_ASKING_SECONDS = 1.0  # for a main beside the training to ask whether that has ended
_GRACE_SECONDS = 1.0  # for a trainer to report its own failure before it is killed
_EXECUTOR_LOST = Failure("ExecutorLostError", "the executor's JVM has ended")
_TASK_LOST = Failure(
    "LaunchError", "Spark has ended the task that held this node's slot", consequence=True
)


@dataclass(frozen=True)
class Report:
    """Tell the driver."""

    event: Reported


@dataclass(frozen=True)
class ReportFailure:
    """Tell the driver of a failure, with the node's name and its last lines."""

    failure: Failure


@dataclass(frozen=True)
class After:
    """Handle an event after a while."""

    seconds: float
    event: Event


@dataclass(frozen=True)
class EndTraining:
    """Tell the trainer that training has ended on all nodes, and that it may exit."""


@dataclass(frozen=True)
class RefuseInference:
    """Take no more partitions of inferences.

    Attributes:
        reason: Why not.
    """

    reason: str


@dataclass(frozen=True)
class LookAtTrainer:
    """Report a trainer that does not respond because it is stopped."""


@dataclass(frozen=True)
class KillTrainer:
    """End the trainer's process, and what it has started."""


Action = (
    Report | ReportFailure | After | EndTraining | RefuseInference | LookAtTrainer | KillTrainer
)


class Lifecycle:
    """Decides what to do about what happens to a node.

    Args:
        has_main: Whether the node runs main, and not only a server of TensorFlow.

    Attributes:
        over: Whether the trainer has ended, and all that follows from it was decided.
    """

    def __init__(self, has_main: bool) -> None:
        self.over = False
        self._has_main = has_main
        self._main_began = False
        self._finished = False  # main has returned
        self._failure: Failure | None = None  # of main, as its process has reported it
        self._training_ended = False
        self._awaits_end = False  # main returns by itself once training has ended
        self._stopping = False  # the end of the trainer needs no explanation
        self._abandoned = False

    def handle(self, event: Event) -> list[Action]:
        """Return what is to be done about an event, in order."""
        match event:
            case MainBegan():
                self._main_began = True
                return [After(_ASKING_SECONDS, AskingOver())] if self._training_ended else []
            case MainFailed(failure):
                # Reported when the process has ended, and with it its output.
                self._failure = failure
            case Finished():
                self._finished = True
                reason = (
                    "its program has returned; loop over ctx.inference(...) to its end, which "
                    "comes when the driver leaves the with block"
                )
                return [Report(event), RefuseInference(reason)]
            case EndAwaited():
                if not self._awaits_end:
                    self._awaits_end = True
                    return [Report(AwaitsEnd())]
            case End():
                return [EndTraining(), *self._end()]
            case AskingOver():
                if not self._awaits_end and not self._finished:
                    self._stopping = True
                    return [Report(Unawaited()), KillTrainer()]
            case Stop():
                self._stopping = True
                # Others may have failed because this node's trainer is stopped.
                return [LookAtTrainer(), After(_GRACE_SECONDS, GraceOver())]
            case GraceOver():
                return [KillTrainer()]
            case TaskEnded(released, executor_lost):
                if not released and not self._stopping:
                    return self._abandon(_EXECUTOR_LOST if executor_lost else _TASK_LOST)
            case ExecutorGone():
                return self._abandon(_EXECUTOR_LOST)
            case DriverGone(reason):
                return self._abandon(Failure("LaunchError", reason))
            case DirectivesLost(reason):
                return self._abandon(Failure("NodeError", reason))
            case TrainerEnded(explanation, executor_lost):
                self.over = True
                return self._exited(explanation, executor_lost)
        return []

    def _end(self) -> list[Action]:
        self._training_ended = True
        if self._finished or not self._has_main:
            self._stopping = self._stopping or not self._finished
            return [After(_GRACE_SECONDS, GraceOver())]
        return [After(_ASKING_SECONDS, AskingOver())] if self._main_began else []

    def _abandon(self, failure: Failure) -> list[Action]:
        if self._abandoned or self._finished:
            return [KillTrainer()]
        self._abandoned = self._stopping = True
        return [ReportFailure(failure), KillTrainer()]

    def _exited(self, explanation: Failure, executor_lost: bool) -> list[Action]:
        # Spark may have told the driver of the executor's end before this agent noticed it.
        abandoned = self._abandon(_EXECUTOR_LOST) if self._stopping and executor_lost else []
        if self._failure is None and not self._finished and not self._stopping:
            self._failure = explanation
        if self._failure is None:
            return [
                *abandoned,
                RefuseInference("its program has ended; the driver's error says why"),
            ]
        # The failure first, so that the driver knows the cause before Spark's tasks fail.
        refusal = RefuseInference(f"its program has failed: {self._failure.message}")
        return [*abandoned, ReportFailure(self._failure), refusal]
