"""When an agent gives the driver up, with invented times."""

from __future__ import annotations

import pytest

from tensorsparkml.control.liveness.driver_watch import DriverWatch, Reach

TIMEOUT = 30.0


def gone_after(reach: Reach, *, every: float, heard: float = 100.0) -> tuple[float, str]:
    """Return the seconds of silence after which the driver counts as gone, and why."""
    watch = DriverWatch(TIMEOUT)
    watch.look(heard)
    watch.heard(heard)
    next_try = every
    for half in range(1, 200):
        silence = half / 2
        watch.look(heard + silence)
        if silence >= next_try:
            watch.tried(reach, heard + silence)
            next_try += every
        if watch.gone is not None:
            return silence, watch.gone
    raise AssertionError("it is waited for forever")


def test_a_port_that_refuses_connections_for_seconds_is_that_of_a_driver_that_is_gone() -> None:
    seconds, reason = gone_after(Reach.REFUSED, every=0.5)
    assert seconds <= 5.0
    assert "refused connections for 2.0 s" in reason


@pytest.mark.parametrize("reach", [Reach.ACCEPTED, Reach.UNREACHABLE])
def test_a_driver_that_is_only_silent_is_waited_for(reach: Reach) -> None:
    seconds, reason = gone_after(reach, every=5.0)
    assert seconds == TIMEOUT + 0.5
    assert reason == "no reply from the driver for 30.5 s (lease_seconds=30)"


@pytest.mark.parametrize("between", ["heard", "accepted", "unreachable"])
def test_refusals_count_only_without_anything_else_in_between(between: str) -> None:
    watch = DriverWatch(TIMEOUT)
    watch.look(100.0)
    for second in range(60):
        now = 100.0 + second
        watch.look(now)
        watch.tried(Reach.REFUSED, now)
        watch.look(now + 0.5)
        watch.heard(now + 0.5) if between == "heard" else watch.tried(Reach(between), now + 0.5)
        if second > TIMEOUT - 2 and between != "heard":
            break
    assert watch.gone is None


def test_an_agent_that_was_stopped_itself_gives_nobody_up() -> None:
    watch = DriverWatch(TIMEOUT)
    watch.look(100.0)
    watch.look(200.0)
    watch.tried(Reach.ACCEPTED, 200.1)
    watch.look(200.5)
    assert watch.gone is None
