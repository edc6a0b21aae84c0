"""How a partition's record batches are cut into slices, and which nodes get them.

A slice costs as much as several hundred rows, and a segment, which is a file, as much as several
thousand. So with many nodes few share a record batch, and a node gets several before the next
one's turn comes. Where the rows lie follows from the partition and from the sizes of its record
batches alone: a task that Spark repeats does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

# So many nodes get rows of every record batch, and with more nodes of the first one: those of a
# stream or of a small feed are often the only ones, and should not keep other nodes waiting.
_FEW = 4
# What a turn brings at most, unless a record batch is larger. To make and open the segment then
# costs less than a tenth of what its rows cost.
_TURN_BYTES = 16 * 2**20
# While a partition has brought less, a turn brings this part of it, so that no node has to give
# away most of a small feed when that is closed.
_TURN_PART = 8
# Multiples of irrational numbers, in parts of 2**32, lie evenly wherever one stops: the golden
# ratio and the square root of two.
_PARTITION_STEP = 2_654_435_769
_JOB_STEP = 1_779_033_704
_CIRCLE = 2**32


def first_node(job: int, partition: int, nodes: int) -> int:
    """Return the node that gets the first rows of a partition.

    Args:
        job: Number of the Spark job, among those that bring rows for the feed.
        partition: Index of the partition.
        nodes: Number of nodes.
    """
    return (job * _JOB_STEP + partition * _PARTITION_STEP) % _CIRCLE * nodes // _CIRCLE


@dataclass(frozen=True)
class Slice:
    """Consecutive rows of a record batch, for one node.

    Attributes:
        node: The node.
        start: The first row.
        rows: Number of rows.
    """

    node: int
    start: int
    rows: int


class Slicer:
    """Cuts the record batches of one partition for nodes that take turns.

    Up to four nodes share every record batch, and their rows of the partition differ by at most
    one. More nodes share the first record batch, four at a time, and then take turns; where record
    batches are of one size, what the nodes get differs by a turn at most.

    Args:
        nodes: Number of nodes.
        first: The node whose turn is first.
    """

    def __init__(self, nodes: int, first: int) -> None:
        self._nodes = nodes
        self._next = first
        self._turn_bytes = 0  # that the next node has got in its turn
        self._total_bytes = 0

    def cut(self, rows: int, size: int) -> list[Slice]:
        """Cut a record batch into slices for different nodes; their rows differ by at most one.

        Args:
            rows: Rows of the record batch.
            size: Its size in bytes.
        """
        if not rows:
            return []
        least = _FEW if self._nodes <= _FEW or not self._total_bytes else 1
        count = min(max(least, size // _TURN_BYTES), rows, self._nodes)
        length, odd = divmod(rows, count)
        slices = [
            Slice(
                (self._next + place) % self._nodes,
                place * length + min(place, odd),
                length + (place < odd),
            )
            for place in range(count)
        ]
        self._advance(rows, count, size)
        return slices

    def _advance(self, rows: int, count: int, size: int) -> None:
        """Let the turns go on where the record batch has ended."""
        self._total_bytes += size
        if self._nodes <= _FEW:
            self._next += rows  # as if they were dealt out one by one
            return
        self._next += count - 1
        self._turn_bytes = size // count + (self._turn_bytes if count == 1 else 0)
        if self._turn_bytes >= min(_TURN_BYTES, self._total_bytes // _TURN_PART):
            self._next += 1
            self._turn_bytes = 0
