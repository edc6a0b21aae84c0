"""Calls by which each of several nodes hands over a value and gets those of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorsparkml.control.coordinator.cluster_state import Node, Phase
from tensorsparkml.control.coordinator.gathering import Gathering
from tensorsparkml.driver.lifecycle.wakeups import Wakeups


class Gatherings:
    """Answers the calls; the caller holds the coordinator's lock.

    Args:
        nodes: The nodes by rank.
        waiting: Where calls wait, by the key of what they gather.
        closing: Whether no call may wait any more.
    """

    def __init__(
        self, nodes: Sequence[Node], waiting: Wakeups[int | str], closing: Callable[[], bool]
    ) -> None:
        self._nodes = nodes
        self._waiting = waiting
        self._closing = closing
        self._gatherings: dict[str, Gathering] = {}

    def gather(
        self, key: str, nodes: int, rank: int, value: Any, wait_seconds: float
    ) -> dict[str, Any] | bytes:
        """Take a node's value, and wait a little for those of the others.

        Args:
            key: What is gathered.
            nodes: How many nodes take part: the first ones.
            rank: Rank of the node.
            value: Its value.
            wait_seconds: How long to wait at most.

        Returns:
            The reply with all values, or with who is missing.
        """
        if key not in self._gatherings:
            self._gatherings[key] = Gathering(nodes)
        gathering = self._gatherings[key]
        if gathering.take(rank, value):
            self._waiting.wake([key])
        self._waiting.wait_for(key, lambda: gathering.complete or self._closing(), wait_seconds)
        if gathering.complete:
            return gathering.reply()
        missing = [self._nodes[rank] for rank in gathering.missing]
        return {
            "gathered": None,
            "missing": [node.name for node in missing],
            "ended": [node.name for node in missing if node.phase is Phase.FINISHED],
        }
