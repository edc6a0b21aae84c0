"""Rows that come as record batches of any size, cut as they are asked for, and shuffled."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tensorsparkml.data.spool.segments import LocatedBatch, Origin


class RowStream:
    """Cuts a stream of record batches into as many rows as are asked for.

    Args:
        batches: The rows in order.
    """

    def __init__(self, batches: Iterator[LocatedBatch]) -> None:
        self._batches = batches
        self._current: LocatedBatch | None = None

    def first_rows(self) -> LocatedBatch:
        """Return the next rows that lie in one batch; they stay in the stream."""
        return self._next()

    def take(self, count: int) -> list[LocatedBatch]:
        """Return the next rows as slices of the batches.

        Raises:
            EOFError: There are fewer.
        """
        found = []
        while count:
            current = self._next()
            rows = min(count, current.batch.num_rows)
            found.append(LocatedBatch(current.batch.slice(0, rows), current.origin))
            self._current = (
                LocatedBatch(current.batch.slice(rows), current.origin.moved(rows))
                if rows < current.batch.num_rows
                else None
            )
            count -= rows
        return found

    def take_some(self, most: int) -> LocatedBatch:
        """Return the next rows that lie in one batch, at least one and at most so many.

        Raises:
            EOFError: There are none.
        """
        current = self._next()
        [found] = self.take(min(most, current.batch.num_rows))
        return found

    def _next(self) -> LocatedBatch:
        while self._current is None or not self._current.batch.num_rows:
            try:
                self._current = next(self._batches)
            except StopIteration:
                raise EOFError("the rows have ended early") from None
        return self._current


@dataclass(frozen=True)
class ShuffledOrigin(Origin):
    """Where the rows of a shuffled batch come from; partition and row have no meaning.

    Attributes:
        order: For each row of the window, its place before.
        starts: The places at which the batches began that the window was made of.
        origins: The origins of these batches.
    """

    order: np.ndarray
    starts: tuple[int, ...]
    origins: tuple[Origin, ...]

    def describe(self, offset: int) -> str:
        """Name the row at an offset of the batch."""
        place = int(self.order[self.row + offset])
        index = bisect.bisect_right(self.starts, place) - 1
        return self.origins[index].describe(place - self.starts[index])

    def moved(self, offset: int) -> Origin:
        """Return the origin of the row at an offset of the batch."""
        return ShuffledOrigin(
            self.partition, self.row + offset, self.order, self.starts, self.origins
        )


def shuffle_rows(
    batches: Iterable[LocatedBatch], rows: int, order: Callable[[int, int], np.ndarray]
) -> Iterator[LocatedBatch]:
    """Shuffle the rows of a stream within windows.

    What comes out depends on the rows and their order alone, not on how they are cut into batches.

    Args:
        batches: The rows.
        rows: Rows of a window; the last one has what is left.
        order: Returns the order of a window, given its number and its rows.
    """
    number, held, window = 0, 0, list[LocatedBatch]()
    for located in batches:
        while located.batch.num_rows:
            part = min(rows - held, located.batch.num_rows)
            window.append(LocatedBatch(located.batch.slice(0, part), located.origin))
            located = LocatedBatch(located.batch.slice(part), located.origin.moved(part))
            held += part
            if held == rows:
                yield shuffle_window(window, order(number, held))
                number, held, window = number + 1, 0, []
    if held:
        yield shuffle_window(window, order(number, held))


def shuffle_window(window: Sequence[LocatedBatch], order: np.ndarray) -> LocatedBatch:
    """Return the rows of some batches in the order given, as one batch."""
    together = pa.concat_batches([located.batch for located in window])
    starts = np.cumsum([0, *(located.batch.num_rows for located in window[:-1])])
    origins = tuple(located.origin for located in window)
    origin = ShuffledOrigin(0, 0, order, tuple(starts.tolist()), origins)
    return LocatedBatch(together.take(pa.array(order)), origin)
