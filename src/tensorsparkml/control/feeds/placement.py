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
        self._given: dict[str, dict[str, dict[int, float]]] = {}  # by part and partition
        self._totals = [0.0] * nodes

    def place(self, key: str, first: bool, near: Sequence[int], size: int) -> tuple[int, ...]:
        """Return the nodes among which a feeder shares out its next rows.

        Args:
            key: What the feeder delivers: a partition, or `part/partition`; see `CommitLog`.
            first: Whether it begins: what an earlier attempt was given does not count then.
            near: The nodes on the feeder's host.
            size: Size of the rows in bytes.
        """
        part, _, partition = key.rpartition("/")
        by_partition = self._given.setdefault(part, {})
        if first:
            for rank, amount in by_partition.pop(partition, {}).items():
                self._totals[rank] -= amount
        share = size / max(len(near), 1)
        ahead = max((self._totals[rank] for rank in near), default=0.0) + share
        if not near or ahead - min(self._totals) > self._lead_bytes:
            return self._all
        given = by_partition.setdefault(partition, {})
        for rank in near:
            given[rank] = given.get(rank, 0.0) + share
            self._totals[rank] += share
        return tuple(near)

    def end_part(self, part: str) -> None:
        """Forget by partitions what a part was given, because no feeder of it begins again."""
        self._given.pop(part, None)
