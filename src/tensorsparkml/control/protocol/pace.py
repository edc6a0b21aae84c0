"""The rate at which agents report to the coordinator when nothing urgent has happened.

All agents together make a bounded number of such reports per second, so that the coordinator's
load does not grow with the cluster. Urgent news is sent at once, whatever the size of the cluster.
"""

from __future__ import annotations

_REPORTS_PER_SECOND = 100.0  # of all nodes
_LEAST_HEARTBEAT_SECONDS = 1.0
_LEAST_LINES_SECONDS = 0.1


def heartbeat_seconds(nodes: int, lease_seconds: float) -> float:
    """Return after how many seconds without news an agent reports that it lives."""
    return max(_LEAST_HEARTBEAT_SECONDS, _quiet_seconds(nodes, lease_seconds))


def lines_seconds(nodes: int, lease_seconds: float) -> float:
    """Return for how long a node's printed lines and progress wait for more of them."""
    return max(_LEAST_LINES_SECONDS, _quiet_seconds(nodes, lease_seconds))


def _quiet_seconds(nodes: int, lease_seconds: float) -> float:
    # Less than a third of the timeout, after which a silence is logged.
    return min(nodes / _REPORTS_PER_SECOND, lease_seconds / 4)
