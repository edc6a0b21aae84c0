"""The rate at which agents call the coordinator when they have no news.

All agents together make a bounded number of such calls per second, so that the coordinator's load
does not grow with the cluster. What is news is sent at once, whatever the size of the cluster.
"""

from __future__ import annotations

_CALLS_PER_SECOND = 100.0  # of all nodes, for each purpose
_LEAST_POLL_SECONDS = 1.0
_LEAST_LINES_SECONDS = 0.1


def poll_seconds(nodes: int, lease_seconds: float) -> float:
    """Return for how long the coordinator may hold an agent's poll, which is its heartbeat."""
    return max(_LEAST_POLL_SECONDS, _quiet_seconds(nodes, lease_seconds))


def lines_seconds(nodes: int, lease_seconds: float) -> float:
    """Return for how long a node's printed lines and progress wait for more of them."""
    return max(_LEAST_LINES_SECONDS, _quiet_seconds(nodes, lease_seconds))


def _quiet_seconds(nodes: int, lease_seconds: float) -> float:
    # Less than a third of the timeout, after which a silence is logged.
    return min(nodes / _CALLS_PER_SECOND, lease_seconds / 4)
