"""Deliveries: how often Spark brings the rows of a feed that is too large to be kept.

A delivery is one time that all rows come. A feed that is kept has one, which its nodes read as
often as they like. Where rows are dropped once they are read, every further pass needs a delivery
of its own, and all nodes must read the same one: so they ask, and get one answer.
"""

from __future__ import annotations

from collections.abc import Collection


def delivery_name(feed: str, number: int) -> str:
    """Return the name under which the nodes' spools have a delivery; the first has the feed's."""
    return feed if number == 0 else f"{feed}@{number}"


def feed_of(delivery: str) -> str:
    """Return the name of the feed that a delivery is of."""
    return delivery.partition("@")[0]


class Deliveries:
    """Which delivery the nodes read in each pass.

    Args:
        replayable: Whether there can be another delivery.
    """

    def __init__(self, replayable: bool) -> None:
        self.current = 0
        self._replayable = replayable
        self._next_pass = 1  # the first needs no decision
        self._asked: dict[int, dict[int, bool]] = {}

    def ask(self, rank: int, number: int, whole: bool) -> None:
        """Record that a node is about to begin a pass.

        Args:
            rank: Rank of the node.
            number: Number of the pass.
            whole: Whether the node still has all it got of the current delivery.
        """
        self._asked.setdefault(number, {})[rank] = whole

    def decide(self, waiting_for: Collection[int]) -> tuple[int, int | None] | None:
        """Return the next pass that can begin, and its delivery; None while a node is missing.

        The delivery is None where the rows are gone and cannot come again.

        Args:
            waiting_for: Ranks of the nodes that may still ask.
        """
        asked = self._asked.get(self._next_pass, {})
        if not asked or not set(waiting_for) <= set(asked):
            return None
        number, self._next_pass = self._next_pass, self._next_pass + 1
        del self._asked[number]
        if all(asked.values()):
            return number, self.current
        if not self._replayable:
            return number, None
        self.current += 1
        return number, self.current
