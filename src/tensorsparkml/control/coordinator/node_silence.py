"""The silence of all agents of a cluster, as the driver hears it. No clocks."""

from __future__ import annotations

from tensorsparkml.control.liveness.heartbeat import PAUSE_SECONDS, Heartbeat, News

_EXPLAINED_SECONDS = 15.0  # after a pause of the driver, in which it may be why an agent is lost

# The name of a node, or None for the driver, and what to log about it.
Warned = tuple[str | None, str]


class NodeSilence:
    """Knows which agents are silent, and when the driver itself did not run.

    Args:
        names: The nodes' names by rank.
        timeout: Heartbeat timeout in seconds.
    """

    def __init__(self, names: list[str], timeout: float) -> None:
        self._names = names
        self._timeout = timeout
        self._heartbeats = [Heartbeat(timeout) for _ in names]
        self._ticked: float | None = None
        self._paused: tuple[float, float] | None = None  # how long, until when

    def heard(self, rank: int, now: float) -> None:
        """Record a sign of life of an agent."""
        self._heartbeats[rank].heard(now)

    def tick(self, now: float) -> list[Warned]:
        """Let time pass for the driver itself; to be called several times a second."""
        pause = 0.0 if self._ticked is None else now - self._ticked
        self._ticked = now
        if pause <= PAUSE_SECONDS:
            return []
        self._paused = pause, now
        message = f"the driver's process did not run for {pause:.1f} s; silence is counted anew"
        return [(None, message)] if pause > self._timeout / 3 else []

    def look(self, rank: int, now: float) -> tuple[list[Warned], str | None]:
        """Return what to log about an agent, and why it is lost, once, if it is."""
        look = self._heartbeats[rank].look(now)
        silence = f"no heartbeat from the agent for {look.silence:.1f} s"
        match look.news:
            case News.SILENT:
                return [(self._names[rank], f"{silence}; still waiting for it")], None
            case News.HEARD:
                again = f"the agent is heard again, after {look.silence:.1f} s"
                return [(self._names[rank], again)], None
            case News.LOST:
                return [], (
                    f"{silence} (lease_seconds={self._timeout:g}): the process, its host or the "
                    "network is down"
                )
        return [], None

    def explain(self, now: float) -> str:
        """Return what to add to the loss of an agent where the driver's own pause may be why."""
        if self._paused is None:
            return ""
        length, until = self._paused
        if length <= self._timeout / 3 or now - until > self._timeout + _EXPLAINED_SECONDS:
            return ""
        return (
            f"; before that, the driver's own process did not run for {length:.1f} s (stopped, "
            "asleep or without a processor), and nodes may have given it up"
        )
