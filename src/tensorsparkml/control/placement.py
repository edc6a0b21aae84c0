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
        self._given: dict[str, list[float]] = {}
        self._totals = [0.0] * nodes

    def place(self, key: str, first: bool, near: Sequence[int], size: int) -> tuple[int, ...]:
        """Return the nodes among which a feeder shares out its next rows.

        Args:
            key: What the feeder delivers, usually the Spark partition.
            first: Whether it begins: what an earlier attempt was given does not count then.
            near: The nodes on the feeder's host.
            size: Size of the rows in bytes.
        """
        given = self._given.setdefault(key, [0.0] * len(self._all))
        if first:
            for rank in self._all:
                self._totals[rank] -= given[rank]
                given[rank] = 0.0
        share = size / max(len(near), 1)
        ahead = max((self._totals[rank] for rank in near), default=0.0) + share
        chosen = self._all
        if near and ahead - min(self._totals) <= self._lead_bytes:
            chosen = tuple(near)
        for rank in chosen:
            given[rank] += size / len(chosen)
            self._totals[rank] += size / len(chosen)
        return chosen
