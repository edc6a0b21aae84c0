"""A node's share of a feed in shuffled order.

While rows still arrive, those that are there are shuffled; once all are there, the whole share is:
first its parts among each other, then the rows within windows of many parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tensorsparkml.data.spool.row_stream import shuffle_rows, shuffle_window
from tensorsparkml.data.spool.segments import LocatedBatch, RowReader
from tensorsparkml.data.spool.shuffle import WINDOW_ROWS, shuffled, window_order, window_seed

_PARTS_IN_WINDOW = 64
_WINDOW_BYTES = 64 * 2**20  # which are in memory twice


@dataclass(frozen=True)
class PassOrder:
    """What the order of one pass on one node follows from.

    Attributes:
        seed: The feed's seed.
        epoch: Number of the pass.
        rank: Rank of the node.
    """

    seed: int
    epoch: int
    rank: int

    def window(self, number: int, rows: int) -> np.ndarray:
        """Return the order of the rows in one window."""
        return window_order(rows, self.seed, self.epoch, self.rank, number)


def shuffled_share(rows: RowReader, count: int, order: PassOrder) -> Iterator[LocatedBatch]:
    """Return all rows of a pass over a share that is complete.

    Args:
        rows: The share.
        count: How many of the rows belong to it; at least one.
        order: The order.
    """
    most = _window_rows(rows)
    size = max(1, most // _PARTS_IN_WINDOW)
    parts = [(start, min(size, count - start)) for start in range(0, count, size)]
    parts = shuffled(parts, window_seed(order.seed, order.epoch, order.rank), order.epoch)
    batches = (batch for part in parts for batch in rows.read(*part))
    yield from shuffle_rows(batches, most, order.window)


def shuffled_arrivals(
    rows: RowReader, arrived: Callable[[], int], order: PassOrder
) -> Iterator[LocatedBatch]:
    """Return the rows of a pass that begins while rows still arrive, each as soon as it may be.

    Args:
        rows: The share; it has at least one row.
        arrived: Returns how many rows may be read; called when rows are asked for beyond those.
        order: The order.
    """
    most, start, number = _window_rows(rows), 0, 0
    while (count := min(most, arrived() - start)) > 0:
        yield shuffle_window(rows.read(start, count), order.window(number, count))
        start, number = start + count, number + 1


def _window_rows(rows: RowReader) -> int:
    [first] = rows.read(0, 1)
    row_bytes: int = max(1, first.batch.nbytes)
    return max(1, min(WINDOW_ROWS, _WINDOW_BYTES // row_bytes))
