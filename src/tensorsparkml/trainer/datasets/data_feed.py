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

    It gives as many passes as the driver's `train(df, epochs=n)` asked for, one after the other. A
    batch never spans two passes, so the last batch of a pass may be smaller. Nodes that ask for the
    same batch sizes get the same number of batches.

    ```python
    feed = ctx.feed(columns=["image", "label"])
    while not feed.should_stop():
        batch = feed.next_batch(64)
        step(batch["image"], batch["label"])
    ```

    Args:
        reader: The feed.
        columns: Names of the columns, a mapping from other names to columns and matrices, or None
            for all.
        convert: How columns become arrays, where the default is not wanted.
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
        """How many passes have been read to their end."""
        return self._passes

    @checked(batch_size=integer(1))
    def next_batch(self, batch_size: int) -> dict[str, Any]:
        """Wait for the next batch and return it.

        Args:
            batch_size: Rows of a full batch.

        Returns:
            An array of shape `(rows, ...)` by column, of `batch_size` rows or fewer at the end of
            a pass: on some nodes none, where batches have one row. A struct gives a dict of its
            fields, and lists of any length a pair of `values` and `row_splits` (see
            `tensorsparkml.data.columns.ragged.Ragged`). After the last pass, an empty dict.

        Raises:
            DataError: A column does not exist, or a value in it does not fit.
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
        """Whether there is no further batch; waits until that is known."""
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

        When every node has said so, or has ended, Spark stops delivering, and the rows are deleted.
        """
        self._reader.terminate()
