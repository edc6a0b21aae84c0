"""The cluster's state machine, with invented times."""

from __future__ import annotations

import pytest
from tests.unit.example_commits import commit_of

from tensorsparkml.control.coordinator.cluster_state import ClusterState, Phase, Tick
from tensorsparkml.control.coordinator.root_cause import root_cause
from tensorsparkml.control.coordinator.snapshot import take_snapshot
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.directives import End, Give, Remove, Stop
from tensorsparkml.control.protocol.failures import Failure, describe
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.roles import Roles, make_roles

LEASE, SETTLE, CAUSE = 6.0, 1.0, 4.0
CHIEF = Peer(0, "chief", 0, "10.0.0.1", 7000, 7001, "/spool")
WORKER = Peer(1, "worker", 0, "10.0.0.2", 7000, 7001, "/spool")
CRASH = Failure("TrainerKilledError", "signal SIGSEGV", "worker:0")
BROKEN_COLLECTIVE = Failure("MainError", "collective failed", "chief:0", consequence=True)


@pytest.fixture
def state() -> ClusterState:
    return ClusterState(make_roles(2), LEASE, SETTLE, CAUSE)


@pytest.fixture
def running(state: ClusterState) -> ClusterState:
    for rank, peer in enumerate((CHIEF, WORKER)):
        state.started(rank, peer, (7, 8))
        state.heard(rank, 100.0)
    return state


def phases(state: ClusterState) -> list[Phase]:
    return [node.phase for node in state.nodes]


# Start and end


def test_all_have_started_when_the_last_one_has(state: ClusterState) -> None:
    state.started(1, WORKER)
    assert not state.all_started
    assert state.readers == [WORKER]
    state.started(0, CHIEF)
    assert state.all_started
    assert state.readers == [CHIEF, WORKER]
    assert phases(state) == [Phase.RUNNING, Phase.RUNNING]


def test_trainers_may_exit_when_the_last_main_has_returned(running: ClusterState) -> None:
    assert running.finished(1, b"one") == []
    assert not running.all_finished
    assert running.finished(0, b"zero") == [(0, End()), (1, End())]
    assert running.all_finished
    assert [node.result for node in running.nodes] == [b"zero", b"one"]
    assert running.ending


def test_nothing_is_left_when_all_that_started_are_gone(state: ClusterState) -> None:
    assert state.all_gone
    state.started(0, CHIEF)
    assert not state.all_gone
    state.gone(0)
    assert state.all_gone


def all_started(roles: Roles) -> ClusterState:
    state = ClusterState(roles, LEASE, SETTLE, CAUSE)
    for rank, (role, index) in enumerate(roles.nodes):
        state.started(rank, Peer(rank, role, index, "10.0.0.1", 7000, 7001, "/spool"))
    return state


def test_nobody_waits_for_servers() -> None:
    state = all_started(make_roles(3, num_ps=1))  # two workers, the chief, a parameter server
    assert [peer.name for peer in state.readers] == ["worker:0", "worker:1"]
    assert state.finished(2, b"chief") == [(rank, End()) for rank in range(4)]
    assert state.all_finished and state.ending


def test_the_feeds_of_servers_end_with_the_training() -> None:
    state = all_started(make_roles(3, num_ps=1))
    state.open_feed(FeedLedger("train", 2))
    assert not state.feed_unwanted("train") and not state.feed_done("train", 1)
    state.finished(2, b"chief")
    assert state.feed_unwanted("train") and state.feed_done("train", 1)


def test_an_evaluator_that_does_not_ask_in_time_is_not_waited_for() -> None:
    state = all_started(make_roles(1, evaluator=True))
    assert state.finished(0, b"chief") == [(0, End()), (1, End())]
    assert not state.all_finished and not state.ending
    state.unawaited(1)
    assert state.all_finished and state.ending


def test_an_evaluator_may_ask_or_return_after_the_training() -> None:
    state = all_started(make_roles(1, evaluator=True))
    state.finished(0, b"chief")
    state.awaits_end(1)
    assert not state.all_finished
    state.finished(1, b"evaluator")
    assert state.all_finished and state.ending
    state = all_started(make_roles(1, evaluator=True))
    state.finished(0, b"chief")
    state.finished(1, b"evaluator")
    assert state.all_finished and state.ending


@pytest.mark.parametrize("asked_first", [True, False])
def test_an_evaluator_that_asks_while_it_is_ended_is_not_waited_for(asked_first: bool) -> None:
    state = all_started(make_roles(1, evaluator=True))
    state.finished(0, b"chief")
    for event in (state.awaits_end, state.unawaited)[:: 1 if asked_first else -1]:
        event(1)
    assert state.all_finished and state.ending


@pytest.mark.parametrize("node", [None, "chief:0", "ps:0", "ps:1"])
def test_only_who_is_waited_for_may_fail_after_the_training(node: str | None) -> None:
    state = all_started(make_roles(1, num_ps=2, between_graph=True, main_on_ps=True))
    state.finished(0, b"chief")
    state.unawaited(1)
    for kind in ("AgentLostError", "LaunchError"):  # the same, told by two processes
        assert state.failed(Failure(kind, "gone", node), 100.0) == []
    state.unawaited(2)
    assert state.all_finished and state.training_over and not state.failures


def test_an_evaluator_that_nobody_waits_for_may_fail_after_the_training() -> None:
    state = all_started(make_roles(1, evaluator=True))
    state.finished(0, b"chief")
    assert state.failed(Failure("MainError", "no file", "evaluator:0"), 100.0) == []
    assert state.all_finished and state.ending and not state.failures


def test_an_evaluator_that_asks_is_waited_for_after_the_training() -> None:
    state = all_started(make_roles(1, evaluator=True))
    state.awaits_end(1)
    assert state.finished(0, b"chief") == [(0, End()), (1, End())]
    assert state.training_over and not state.all_finished and not state.ending
    assert state.finished(1, b"evaluator") == []
    assert state.all_finished and state.ending


def test_an_evaluator_may_fail_after_the_training() -> None:
    state = all_started(make_roles(1, evaluator=True))
    state.awaits_end(1)
    state.finished(0, b"chief")
    crash = Failure("TrainerKilledError", "signal SIGSEGV", "evaluator:0")
    assert state.failed(crash, 100.0) == [(0, Stop(crash.message)), (1, Stop(crash.message))]
    assert root_cause(state.failures)[0] == crash


# Failures


def test_only_the_first_failure_stops_all(running: ClusterState) -> None:
    assert running.failed(CRASH, 100.0) == [
        (0, Stop("signal SIGSEGV")),
        (1, Stop("signal SIGSEGV")),
    ]
    assert running.failed(BROKEN_COLLECTIVE, 100.1) == []
    assert running.failures == [CRASH, BROKEN_COLLECTIVE]
    assert phases(running) == [Phase.FAILED, Phase.FAILED]


def test_a_failure_that_several_processes_report_is_listed_once(running: ClusterState) -> None:
    lost = Failure("AgentLostError", "the agent ended with exit status 1", "worker:0")
    running.failed(lost, 100.0)
    running.failed(Failure("AgentLostError", "something killed it", "worker:0"), 100.1)
    running.failed(Failure("AgentLostError", "something killed it", "chief:0"), 100.2)
    assert [failure.node for failure in running.failures] == ["worker:0", "chief:0"]
    assert root_cause(running.failures)[0] == lost


def test_a_failure_of_the_driver_belongs_to_no_node(running: ClusterState) -> None:
    assert running.failed(Failure("FeedError", "no rows"), 100.0) != []
    assert phases(running) == [Phase.RUNNING, Phase.RUNNING]


@pytest.mark.parametrize("order", [[CRASH, BROKEN_COLLECTIVE], [BROKEN_COLLECTIVE, CRASH]])
def test_the_root_cause_is_no_consequence_whichever_came_first(
    running: ClusterState, order: list[Failure]
) -> None:
    for failure in order:
        running.failed(failure, 100.0)
    assert root_cause(running.failures) == (CRASH, [BROKEN_COLLECTIVE])


def test_the_first_of_several_causes_is_the_root(running: ClusterState) -> None:
    later = Failure("NullValueError", "column 'x' is null", "chief:0")
    for failure in (BROKEN_COLLECTIVE, CRASH, later):
        running.failed(failure, 100.0)
    assert root_cause(running.failures) == (CRASH, [BROKEN_COLLECTIVE, later])


def test_consequences_alone_name_the_first_of_them(running: ClusterState) -> None:
    other = Failure("MainError", "collective failed", "worker:0", consequence=True)
    running.failed(BROKEN_COLLECTIVE, 100.0)
    running.failed(other, 100.0)
    assert root_cause(running.failures) == (BROKEN_COLLECTIVE, [other])


def test_the_root_cause_is_named_after_the_settle_window(running: ClusterState) -> None:
    assert not running.settled(100.0)
    running.failed(CRASH, 100.0)
    running.failed(BROKEN_COLLECTIVE, 100.8)
    assert not running.settled(100.0 + SETTLE - 0.01)
    assert running.settled(100.0 + SETTLE)


def test_a_cause_is_waited_for_longer_than_its_consequences(running: ClusterState) -> None:
    running.failed(BROKEN_COLLECTIVE, 100.0)
    assert not running.settled(100.0 + CAUSE - 0.01)
    assert running.settled(100.0 + CAUSE)
    running.failed(CRASH, 100.0 + SETTLE)
    assert running.settled(100.0 + SETTLE)


def test_the_root_cause_is_named_at_once_when_nobody_is_left(running: ClusterState) -> None:
    running.failed(CRASH, 100.0)
    running.gone(0)
    assert not running.settled(100.0)
    running.gone(1)
    assert running.settled(100.0)


def test_mains_that_return_after_a_failure_do_not_end_the_cluster(running: ClusterState) -> None:
    running.failed(Failure("FeedError", "no rows"), 100.0)
    assert running.finished(0, b"") == []
    assert running.finished(1, b"") == []
    assert not running.ending


def test_failures_do_not_count_once_all_mains_have_returned(running: ClusterState) -> None:
    running.finished(0, b"")
    running.finished(1, b"")
    assert running.failed(CRASH, 200.0) == []
    assert running.failures == []
    assert not running.settled(300.0)


# Silence


def watch(state: ClusterState, begin: float, end: float) -> list[Tick]:
    """Let time pass, four ticks a second."""
    return [state.tick(begin + quarter / 4) for quarter in range(round(4 * (end - begin)) + 1)]


def warnings(ticks: list[Tick]) -> list[tuple[str | None, str]]:
    return [warning for tick in ticks for warning in tick.warnings]


def test_an_agent_is_lost_when_it_is_silent_for_longer_than_the_timeout(
    running: ClusterState,
) -> None:
    watch(running, 100.0, 103.0)
    running.heard(0, 103.0)
    ticks = watch(running, 103.25, 100.0 + LEASE)
    assert not any(tick.addressed for tick in ticks) and not running.failures

    tick = running.tick(106.5)

    assert [rank for rank, _ in tick.addressed] == [0, 1]
    [failure] = running.failures
    assert (failure.kind, failure.node) == ("AgentLostError", "worker:0")
    assert "6.5 s" in failure.message and "lease_seconds=6" in failure.message
    assert not failure.consequence
    assert phases(running) == [Phase.RUNNING, Phase.FAILED]
    assert [node.lost for node in running.nodes] == [False, True]


def test_silence_is_told_from_a_third_of_the_timeout_on_and_when_it_ends(
    running: ClusterState,
) -> None:
    told = warnings(watch(running, 100.0, 104.0))
    assert [name for name, _ in told] == ["chief:0", "worker:0"]
    assert all("no heartbeat from the agent for 2.0 s" in message for _, message in told)
    running.heard(0, 104.0)
    running.heard(1, 104.0)
    told = warnings(watch(running, 104.25, 105.75))
    assert [name for name, _ in told] == ["chief:0", "worker:0"]
    assert all("heard again, after 4.0 s" in message for _, message in told)
    assert running.failures == []


def test_a_lost_agent_is_reported_once_and_may_still_say_that_nothing_is_left(
    running: ClusterState,
) -> None:
    watch(running, 150.0, 200.0)
    assert [failure.node for failure in running.failures] == ["chief:0", "worker:0"]
    assert not any(tick.addressed for tick in watch(running, 200.25, 300.0))
    assert len(running.failures) == 2
    assert running.all_gone and len(take_snapshot(running).unconfirmed) == 2
    running.gone(0)
    assert running.all_gone
    assert take_snapshot(running).unconfirmed == ["worker:0 on 10.0.0.2 (processes 7, 8)"]


def test_a_lost_agent_that_comes_back_finishes_nothing(running: ClusterState) -> None:
    watch(running, 150.0, 200.0)
    assert running.finished(0, b"late") == running.finished(1, b"late") == []
    assert phases(running) == [Phase.FAILED, Phase.FAILED]
    assert running.nodes[0].result is None


def test_silence_means_nothing_before_all_nodes_run(state: ClusterState) -> None:
    state.started(0, CHIEF)
    state.heard(0, 100.0)
    watch(state, 100.0, 200.0)
    assert state.failures == []
    state.started(1, WORKER)
    watch(state, 200.25, 200.0 + LEASE)
    assert state.failures == []
    watch(state, 200.25 + LEASE, 201.0 + LEASE)
    assert [failure.node for failure in state.failures] == ["chief:0", "worker:0"]


def test_an_agent_that_is_gone_is_not_expected(running: ClusterState) -> None:
    running.gone(0)
    running.gone(1)
    assert warnings(watch(running, 100.0, 1000.0)) == []
    assert running.failures == []


def test_the_drivers_own_pause_is_not_the_nodes_silence(running: ClusterState) -> None:
    watch(running, 100.0, 101.0)
    # Nobody was heard, and nobody could be.
    ticks = watch(running, 200.0, 201.0)
    assert [name for name, _ in warnings(ticks)] == [None]
    assert "did not run for 99.0 s" in warnings(ticks)[0][1]
    watch(running, 201.25, 200.0 + LEASE)
    assert running.failures == []
    running.heard(1, 206.0)
    watch(running, 206.25, 206.5)
    [failure] = running.failures
    assert failure.node == "chief:0"
    assert "the driver's own process did not run for 99.0 s" in failure.message


def test_a_pause_explains_what_agents_did_in_it_but_not_what_fails_long_after(
    running: ClusterState,
) -> None:
    lost = Failure("AgentLostError", "its launch task has ended", "worker:0")
    watch(running, 100.0, 101.0)
    running.tick(200.0)
    running.failed(lost, 200.5)
    assert "did not run for 99.0 s" in running.failures[0].message

    other = ClusterState(make_roles(2), LEASE, SETTLE, CAUSE)
    other.tick(100.0)
    other.tick(200.0)
    other.failed(lost, 300.0)
    assert other.failures[0].message == lost.message


def test_who_waits_for_the_root_cause_is_woken_once(running: ClusterState) -> None:
    for rank in range(2):
        running.heard(rank, 100.0)
    running.tick(100.0)
    running.failed(CRASH, 100.0)
    settled = [tick.settled for tick in watch(running, 100.25, 103.0)]
    assert settled.count(True) == 1 and settled[:3] == [False] * 3 and settled[3]


# Trainers that hang


def test_a_trainer_that_hangs_explains_the_failures_of_others(running: ClusterState) -> None:
    running.trainer_silent(1, 10.0, "stopped", 100.0)
    assert running.failures == []
    running.failed(BROKEN_COLLECTIVE, 130.0)
    assert not running.settled(133.0) and running.settled(134.0)  # a crash may still be told
    root, others = root_cause(running.failures)
    assert (root.kind, root.node) == ("TrainerHungError", "worker:0")
    assert "not responded for 40 s (state: stopped)" in root.message
    assert others == [BROKEN_COLLECTIVE]


def test_a_trainer_may_be_found_to_hang_after_others_have_failed(running: ClusterState) -> None:
    running.failed(BROKEN_COLLECTIVE, 130.0)
    running.trainer_silent(1, 10.0, "stopped", 131.0)
    assert root_cause(running.failures)[0].kind == "TrainerHungError"


def test_a_crash_explains_more_than_a_trainer_that_does_not_respond(
    running: ClusterState,
) -> None:
    running.trainer_silent(0, 10.0, "running", 100.0)
    running.failed(CRASH, 101.0)
    assert root_cause(running.failures)[0] == CRASH


def test_a_trainer_that_responds_again_explains_nothing(running: ClusterState) -> None:
    running.trainer_silent(1, 10.0, "stopped", 100.0)
    running.trainer_heard(1)
    running.failed(BROKEN_COLLECTIVE, 130.0)
    assert root_cause(running.failures) == (BROKEN_COLLECTIVE, [])


# Feeds


def test_a_feed_is_done_when_every_node_has_read_it_or_has_finished(running: ClusterState) -> None:
    running.open_feed(FeedLedger("train", 2))
    running.consumed(0, "train", FeedProgress(passes=2))
    assert not running.feed_done("train", 2)
    running.consumed(1, "train", FeedProgress(passes=1))
    assert running.feed_done("train", 1)
    assert not running.feed_done("train", 2)
    running.finished(1, b"")
    assert running.feed_done("train", 2)


def test_a_feed_is_unwanted_when_every_node_has_terminated_or_finished(
    running: ClusterState,
) -> None:
    running.open_feed(FeedLedger("train", 2))
    running.consumed(0, "train", FeedProgress(passes=3, terminated=True))
    running.consumed(1, "train", FeedProgress(passes=3))
    assert not running.feed_unwanted("train")
    running.finished(1, b"")
    assert running.feed_unwanted("train")
    # Whoever needs no more has read enough.
    assert running.feed_done("train", 9)


def test_feeds_do_not_mix(running: ClusterState) -> None:
    running.open_feed(FeedLedger("train", 2))
    running.open_feed(FeedLedger("validation", 2))
    for rank in range(2):
        running.consumed(rank, "validation", FeedProgress(passes=1, terminated=True))
    assert running.feed_unwanted("validation")
    assert not running.feed_unwanted("train")
    assert not running.feed_done("train", 1)


@pytest.mark.parametrize("early", [True, False], ids=["terminated first", "closed first"])
def test_a_complete_feed_that_no_node_wants_is_removed_once(
    running: ClusterState, early: bool
) -> None:
    removed = [(0, Remove("train")), (1, Remove("train"))]
    running.open_feed(FeedLedger("kept", 2))
    running.open_feed(FeedLedger("train", 2))
    running.feeds["train"].commit(commit_of("train", "0", "0-0", (2, 0), (16, 0)))
    if not early:
        assert running.close_feed("train") == [(0, Give("train", "given-0", 1, start=1, rows=1))]
    ended = FeedProgress(terminated=True)
    assert running.consumed(0, "train", ended) == running.consumed(1, "train", ended) == []
    if early:
        running.close_feed("train")
    assert running.given("train", "given-0")[-2:] == removed  # after the feed is complete
    assert running.close_feed("train") == running.consumed(0, "train", ended) == []


def test_a_feed_is_removed_when_the_last_that_wanted_it_returns(running: ClusterState) -> None:
    running.open_feed(FeedLedger("train", 2))
    running.close_feed("train")
    running.consumed(0, "train", FeedProgress(terminated=True))
    assert running.finished(1, b"") == [(0, Remove("train")), (1, Remove("train"))]


def test_progress_of_an_unknown_feed_is_ignored(running: ClusterState) -> None:
    running.consumed(0, "another", FeedProgress(passes=1))
    assert running.feeds == {}


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (CRASH, "[worker:0] TrainerKilledError: signal SIGSEGV"),
        (Failure("FeedError", "first\nsecond"), "FeedError: first"),
        (Failure("FeedError", "x" * 5000), "FeedError: " + "x" * 300 + " …"),
    ],
)
def test_a_failure_is_described_in_one_line(failure: Failure, line: str) -> None:
    assert describe(failure) == line
