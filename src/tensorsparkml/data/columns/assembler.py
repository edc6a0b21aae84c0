"""Slices of record batches → a NumPy array for each column or matrix, a dict of them per struct."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns import ragged
from tensorsparkml.data.columns.convert import ColumnSpec, column_spec, mask_spec, to_numpy
from tensorsparkml.data.columns.matrix import MatrixSpec, matrix_source
from tensorsparkml.data.columns.names import MASK, Names, Place
from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.data.columns.pytree import map_leaves
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.columns.types import is_struct
from tensorsparkml.data.memory import aligned
from tensorsparkml.data.spool.segments import LocatedBatch


@dataclass(frozen=True)
class _Source:
    """A tensor to be made: from where, and what it becomes."""

    place: Place
    spec: ColumnSpec

    def convert(self, slices: Sequence[LocatedBatch]) -> np.ndarray | Ragged:
        parts: list[Any] = [
            to_numpy(self.place.take(located.batch), self.spec, located.origin.describe)
            for located in slices
        ]
        if not parts:
            return to_numpy(pa.array([], self.spec.type), self.spec, str)
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]
        return ragged.concatenate(parts) if self.spec.ragged_rank else aligned.concatenate(parts)


class Assembler:
    """Turns rows into arrays of the columns that a program asked for.

    Args:
        columns: Names of columns, fields or masks (see `Names`) and matrices, or a mapping to them
            from the keys that the arrays get; None for all columns with their masks.
        convert: How columns and fields become tensors, where the default is not wanted.
        sample: A batch with at least one row, which gives the types and the lengths of lists.
        also: Further names and matrices.

    Attributes:
        specs: A `ColumnSpec` or `MatrixSpec` for each array that is made, or a dict of them for
            each struct.

    Raises:
        MissingColumnError: The feed lacks a column.
        UnsupportedColumnError: A column's type does not become a tensor.
        ConfigurationError: What is asked for is not possible for the column.
    """

    def __init__(
        self,
        columns: Sequence[Wanted] | Mapping[Any, Wanted] | None,
        convert: Mapping[str, Column],
        sample: LocatedBatch,
        also: Sequence[Wanted] = (),
    ) -> None:
        self._names = Names(sample.batch.schema, convert)
        self._sources: dict[Hashable, Any] = {}
        if columns is None:
            self._sources.update(self._group(self._names.all(), sample.batch))
        named = columns if isinstance(columns, Mapping) else {name: name for name in columns or ()}
        for key, name in [*named.items(), *((name, name) for name in also)]:
            if key not in self._sources:
                self._sources[key] = self._named(name, sample.batch)
        self.specs: dict[Any, Any] = map_leaves(lambda source: source.spec, self._sources)

    @property
    def single(self) -> list[str]:
        """The names of the arrays that are no matrix, and of a column that none holds."""
        specs = self.specs.values()
        inside = {name for spec in specs if isinstance(spec, MatrixSpec) for name in spec.columns}
        return [name for name in self.specs if isinstance(name, str) and name not in inside]

    def assemble(self, slices: Sequence[LocatedBatch]) -> dict[Any, Any]:
        """Return an array of shape `(rows, *spec.shape)` for each column, a dict for each struct.

        Raises:
            DataError: A value does not fit; the message names its column and row.
        """
        arrays: dict[Any, Any] = map_leaves(lambda source: source.convert(slices), self._sources)
        return arrays

    def _group(self, places: Sequence[Place], sample: pa.RecordBatch) -> dict[str, Any]:
        """Return what columns become that lie beside each other, with their masks."""
        found: dict[str, Any] = {}
        for place in places:
            found[place.name] = self._source(place, sample)
            if self._names.options(place).mask:
                found[place.name + MASK] = self._mask(place, sample)
        return found

    def _named(self, name: Wanted, sample: pa.RecordBatch) -> Any:
        if isinstance(name, Matrix):
            return matrix_source(name, self._names, sample)
        place, is_mask = self._names.look_up(name)
        return self._mask(place, sample) if is_mask else self._source(place, sample)

    def _source(self, place: Place, sample: pa.RecordBatch) -> Any:
        if is_struct(place.field.type):
            return self._group(place.fields(), sample)
        spec = column_spec(place.field, place.take(sample), self._names.options(place))
        return _Source(place, spec)

    def _mask(self, place: Place, sample: pa.RecordBatch) -> _Source:
        source: _Source = self._source(place, sample)
        return _Source(place, mask_spec(source.spec, place.field.name + MASK))
