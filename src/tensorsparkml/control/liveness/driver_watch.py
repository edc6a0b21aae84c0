"""The rule by which an agent considers the driver gone. No sockets and no clocks."""

from __future__ import annotations

from enum import Enum

from tensorsparkml.control.liveness.heartbeat import Heartbeat, Look, News

_REFUSED_SECONDS = 2.0  # for which a port refuses connections before its process counts as gone


class Reach(Enum):
    """How an attempt to connect to the driver's port went."""

    ACCEPTED = "accepted"  # the process is there; it may be busy or stopped
    REFUSED = "refused"  # its host is there, the process is not
    UNREACHABLE = "unreachable"  # the network, the host or a firewall does not answer


class DriverWatch:
    """Decides from replies, and from attempts to connect, whether the driver is gone.

    Args:
        timeout: Heartbeat timeout in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._heartbeat = Heartbeat(timeout)
        self._refused_since: float | None = None
        self._gone: str | None = None

    def heard(self, now: float) -> None:
        """Record a reply of the driver."""
        self._heartbeat.heard(now)
        self._refused_since = None

    def tried(self, reach: Reach, now: float) -> None:
        """Record an attempt to connect, made because a call had failed."""
        if reach is not Reach.REFUSED:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since >= _REFUSED_SECONDS and self._gone is None:
            self._gone = (
                f"the driver is gone: its port has refused connections for "
                f"{now - self._refused_since:.1f} s"
            )

    def look(self, now: float) -> Look:
        """Return how long the driver has been silent; to be called several times a second."""
        look = self._heartbeat.look(now)
        if look.news is News.LOST and self._gone is None:
            self._gone = (
                f"no reply from the driver for {look.silence:.1f} s "
                f"(lease_seconds={self._timeout:g})"
            )
        return look

    @property
    def gone(self) -> str | None:
        """Why the driver counts as gone, or None; it does not come back."""
        return self._gone
