"""`DataFeed`: a feed that a program reads batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorsparkml.checks import checked, integer
from tensorsparkml.control.feeds.lockstep import PassCursor
from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.options import Column, Selection
from tensorsparkml.trainer.datasets.source import Source


class DataFeed:
    """Reads a feed as NumPy arrays, for programs with their own training loop.

    It gives the number of passes that the driver requested with `train(df, epochs=n)`. A batch
    never spans two passes, so the last batch of a pass may be smaller. Nodes that request the same
    batch sizes get the same number of batches.

    ```python
    feed = ctx.feed(columns=["image", "label"])
    while not feed.should_stop():
        batch = feed.next_batch(64)
        step(batch["image"], batch["label"])
    ```

    Args:
        reader: The feed.
        columns: Names of the columns, a dict from names for the arrays to columns and matrices, or
            None for all columns.
        convert: How columns become arrays, if not by default.
    """

    def __init__(
        self,
        reader: Source,
        columns: Selection | None,
        convert: Mapping[str, Column],
    ) -> None:
        self._reader = reader
        self._columns = columns
        self._convert = convert
        self._assembler: Assembler | None = None
        self._cursor: PassCursor | None = None
        self._passes = 0
        self._ended = False

    @property
    def passes(self) -> int:
        """Number of passes that have been read to the end."""
        return self._passes

    @checked(batch_size=integer(1))
    def next_batch(self, batch_size: int) -> dict[str, Any]:
        """Wait for the next batch and return it.

        Args:
            batch_size: Number of rows in a full batch.

        Returns:
            A dict of arrays of shape `(rows, ...)` by column, or an empty dict after the last pass.
            At the end of a pass there may be fewer than `batch_size` rows, and with batches of one
            row, none on some nodes. A struct gives a dict of its fields. Lists of any length give a
            pair of `values` and `row_splits` (see `tensorsparkml.data.columns.ragged.Ragged`).

        Raises:
            DataError: A column does not exist, or one of its values does not fit.
        """
        if self.should_stop():
            return {}
        assert self._cursor is not None  # should_stop has just looked
        rows = self._reader.next_batches(self._cursor, batch_size, drop_remainder=False)
        if rows is None:  # another thread has ended the feed meanwhile
            return {}
        if self._assembler is None:
            # A node without any row learns here that there are fewer rows than nodes.
            sample = rows.slices[0] if rows.slices else self._reader.first_rows()
            self._assembler = Assembler(self._columns, self._convert, sample)
        return self._assembler.assemble(rows.slices)

    def should_stop(self) -> bool:
        """Return whether there is no further batch; waits until this is known."""
        if self._reader.terminated:
            return True
        while not self._ended:
            if self._cursor is None:
                self._cursor = self._reader.begin_pass()
            if not self._reader.at_end(self._cursor):
                return False
            self._reader.end_pass()
            self._passes += 1
            self._cursor = None
            self._ended = self._passes >= self._reader.passes_offered
        return True

    def terminate(self) -> None:
        """End the feed early: this node needs no more rows.

        When every node has called this or has ended, Spark's job is cancelled, and the rows are
        deleted.
        """
        self._reader.terminate()
