"""What an agent does about what happens to its node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.protocol.directives import End, Stop
from tensorsparkml.control.protocol.events import AwaitsEnd, Finished, Unawaited
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
from tensorsparkml.executor.agent.lifecycle import (
    Action,
    After,
    EndTraining,
    KillTrainer,
    Lifecycle,
    LookAtTrainer,
    RefuseInference,
    Report,
    ReportFailure,
)

KILLED = Failure("TrainerKilledError", "signal SIGKILL ended the TensorFlow process")
RAISED = Failure("MainError", "main raised")
FINISHED = Finished("")
ENDED = TrainerEnded(KILLED, executor_lost=False)


def handle(*events: Event, has_main: bool = True) -> list[Action]:
    lifecycle = Lifecycle(has_main)
    actions = [action for event in events for action in lifecycle.handle(event)]
    assert lifecycle.over == any(isinstance(event, TrainerEnded) for event in events)
    return actions


def reported(actions: list[Action]) -> list[str]:
    return [action.failure.kind for action in actions if isinstance(action, ReportFailure)]


def test_a_main_that_returns_is_reported_and_leaves_when_training_has_ended() -> None:
    actions = handle(MainBegan(), FINISHED, End(), ENDED)
    kinds = [Report, RefuseInference, EndTraining, After, RefuseInference]
    assert [type(action) for action in actions] == kinds
    assert actions[0] == Report(FINISHED)
    assert actions[3] == After(1.0, GraceOver())


def test_a_process_that_ends_without_a_word_is_explained() -> None:
    failure, refusal = handle(MainBegan(), ENDED)
    assert failure == ReportFailure(KILLED)
    assert refusal == RefuseInference(f"its program has failed: {KILLED.message}")


def test_what_main_raised_is_reported_once_its_process_has_ended() -> None:
    assert handle(MainBegan(), MainFailed(RAISED)) == []
    assert reported(handle(MainBegan(), MainFailed(RAISED), ENDED)) == ["MainError"]


def test_a_node_that_is_asked_to_stop_has_a_moment_and_needs_no_explanation() -> None:
    assert handle(Stop("")) == [LookAtTrainer(), After(1.0, GraceOver())]
    assert handle(GraceOver()) == [KillTrainer()]
    assert reported(handle(Stop(""), GraceOver(), ENDED)) == []
    assert reported(handle(Stop(""), MainFailed(RAISED), ENDED)) == ["MainError"]


@pytest.mark.parametrize("asks", [False, True])
def test_a_main_beside_the_training_may_ask_for_its_end(asks: bool) -> None:
    before = [MainBegan(), *[EndAwaited()] * (2 * asks)]
    actions = handle(*before, End(), AskingOver())
    begin: list[Action] = [Report(AwaitsEnd())] if asks else []
    end: list[Action] = [] if asks else [Report(Unawaited()), KillTrainer()]
    assert actions == [*begin, EndTraining(), After(1.0, AskingOver()), *end]


def test_the_time_to_ask_begins_with_main() -> None:
    assert handle(End()) == [EndTraining()]
    assert handle(End(), MainBegan()) == [EndTraining(), After(1.0, AskingOver())]


def test_a_server_ends_with_the_training() -> None:
    actions = handle(End(), GraceOver(), ENDED, has_main=False)
    assert actions[:3] == [EndTraining(), After(1.0, GraceOver()), KillTrainer()]
    assert reported(actions) == []


@pytest.mark.parametrize(
    "event, kind",
    [
        (ExecutorGone(), "ExecutorLostError"),
        (TaskEnded(released=False, executor_lost=True), "ExecutorLostError"),
        (TaskEnded(released=False, executor_lost=False), "LaunchError"),
        (DriverGone("the driver is gone"), "LaunchError"),
        (DirectivesLost("the agent cannot carry out a directive"), "NodeError"),
    ],
)
def test_a_node_that_cannot_go_on_is_given_up_once(event: Event, kind: str) -> None:
    actions = handle(MainBegan(), event, event, ENDED)
    assert reported(actions) == [kind]
    assert actions[1] == KillTrainer()
    # Nobody is interested in what becomes of a node whose main has returned.
    assert reported(handle(FINISHED, event, ENDED)) == []


def test_a_task_that_has_given_back_its_slot_may_end() -> None:
    assert handle(TaskEnded(released=True, executor_lost=False)) == []
    assert handle(Stop(""), TaskEnded(released=False, executor_lost=False))[2:] == []


def test_an_executor_that_is_lost_is_named_where_spark_was_faster() -> None:
    lost = TrainerEnded(KILLED, executor_lost=True)
    assert reported(handle(Stop(""), lost)) == ["ExecutorLostError"]
    assert reported(handle(lost)) == ["TrainerKilledError"]


EVENTS = st.sampled_from(
    [
        MainBegan(),
        MainFailed(RAISED),
        FINISHED,
        EndAwaited(),
        AskingOver(),
        GraceOver(),
        End(),
        Stop(""),
        ExecutorGone(),
        DriverGone(""),
        DirectivesLost(""),
        TaskEnded(released=False, executor_lost=False),
        TaskEnded(released=True, executor_lost=False),
    ]
)


@given(st.lists(EVENTS, max_size=12), st.booleans(), st.booleans())
def test_every_end_is_explained_unless_it_was_wanted(
    events: list[Event], has_main: bool, executor_lost: bool
) -> None:
    actions = handle(*events, TrainerEnded(KILLED, executor_lost), has_main=has_main)
    explained = reported(actions)
    wanted = not explained
    ends = {FINISHED, Stop(""), AskingOver(), End()}
    assert not wanted or ends.intersection(events)
    if RAISED.kind in explained:
        assert MainFailed(RAISED) in events
    assert len(explained) <= 2
    assert isinstance(actions[-1], RefuseInference)
