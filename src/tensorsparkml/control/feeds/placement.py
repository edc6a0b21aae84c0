"""Which nodes get a feeder's next rows: those of its own host, unless they are ahead."""

from __future__ import annotations

from collections.abc import Sequence


class Placement:
    """Decides where rows go, so that few cross the network and shares stay nearly even.

    Args:
        nodes: Number of nodes that share the rows.
        lead_bytes: How much more than the node with the least a node may get.
    """

    def __init__(self, nodes: int, lead_bytes: int) -> None:
        self._all = tuple(range(nodes))
        self._lead_bytes = lead_bytes
        # What is shared out over all nodes changes nothing between them, and is not counted.
        self._given: dict[str, dict[int, float]] = {}
        self._totals = [0.0] * nodes

    def place(self, key: str, first: bool, near: Sequence[int], size: int) -> tuple[int, ...]:
        """Return the nodes among which a feeder shares out its next rows.

        Args:
            key: What the feeder delivers, usually the Spark partition.
            first: Whether it begins: what an earlier attempt was given does not count then.
            near: The nodes on the feeder's host.
            size: Size of the rows in bytes.
        """
        if first:
            for rank, amount in self._given.pop(key, {}).items():
                self._totals[rank] -= amount
        share = size / max(len(near), 1)
        ahead = max((self._totals[rank] for rank in near), default=0.0) + share
        if not near or ahead - min(self._totals) > self._lead_bytes:
            return self._all
        given = self._given.setdefault(key, {})
        for rank in near:
            given[rank] = given.get(rank, 0.0) + share
            self._totals[rank] += share
        return tuple(near)
