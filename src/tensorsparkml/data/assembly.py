"""Slices of record batches → one NumPy array per column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns import ColumnSpec, column_spec, to_numpy
from tensorsparkml.data.segments import LocatedBatch
from tensorsparkml.errors import MissingColumnError, UnsupportedColumnError


class Assembler:
    """Turns rows into arrays of the columns that a program asked for.

    Args:
        columns: Their names, or None for all.
        shapes: Shapes of one row that the program asked for, by column.
        sample: A batch with at least one row, which gives the types and the lengths of lists.

    Raises:
        MissingColumnError: The feed lacks a column.
        UnsupportedColumnError: A column's type does not become a tensor.
    """

    def __init__(
        self,
        columns: Sequence[str] | None,
        shapes: Mapping[str, tuple[int, ...]],
        sample: LocatedBatch,
    ) -> None:
        schema: pa.Schema = sample.batch.schema
        wanted = schema.names if columns is None else list(columns)
        for name in [*wanted, *shapes]:
            if schema.names.count(name) > 1:
                raise UnsupportedColumnError(
                    f"the feed has several columns named {name!r}; rename them in Spark, as with "
                    "df.withColumnRenamed(...)"
                )
            if name not in schema.names:
                raise MissingColumnError(
                    f"there is no column {name!r} in the feed; it has {', '.join(schema.names)}"
                )
        self.specs = {
            name: column_spec(schema.field(name), sample.batch.column(name), shapes.get(name))
            for name in wanted
        }

    def assemble(self, slices: Sequence[LocatedBatch]) -> dict[str, np.ndarray]:
        """Return an array of shape `(rows, *spec.shape)` for each column.

        Raises:
            DataError: A value does not fit; the message names its column and row.
        """
        return {name: self._column(spec, slices) for name, spec in self.specs.items()}

    def _column(self, spec: ColumnSpec, slices: Sequence[LocatedBatch]) -> np.ndarray:
        arrays = [
            to_numpy(located.batch.column(spec.name), spec, located.origin.describe)
            for located in slices
        ]
        if len(arrays) == 1:
            return arrays[0]
        return np.concatenate(arrays) if arrays else np.empty((0, *spec.shape), spec.dtype)
