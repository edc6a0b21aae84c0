"""Slices of record batches → one NumPy array per column, and a dict of them per struct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.column_options import Column
from tensorsparkml.data.column_types import is_struct
from tensorsparkml.data.columns import ColumnSpec, column_spec, mask_spec, to_numpy
from tensorsparkml.data.ragged import Ragged, concatenate
from tensorsparkml.data.segments import LocatedBatch
from tensorsparkml.data.trees import map_leaves
from tensorsparkml.errors import ConfigurationError, MissingColumnError, UnsupportedColumnError

_MASK = "_mask"


@dataclass(frozen=True)
class _Place:
    """Where a column is in a record batch: its name, and the way into structs.

    Attributes:
        column: Name of the record batch's column.
        path: Indices of the fields to take, from the outside.
        field: The field that is found there, under its full name, such as `person.age`.
    """

    column: str
    path: tuple[int, ...]
    field: pa.Field

    def fields(self) -> list[tuple[str, _Place]]:
        """Return the fields of a struct by name."""
        return [
            (
                inner.name,
                _Place(
                    self.column,
                    (*self.path, index),
                    inner.with_name(f"{self.field.name}.{inner.name}"),
                ),
            )
            for index, inner in enumerate(self.field.type)
        ]

    def take(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the values; those of a null struct are null."""
        column = batch.column(self.column)
        return pc.struct_field(column, list(self.path)) if self.path else column


@dataclass(frozen=True)
class _Source:
    """A tensor to be made: from where, and what it becomes."""

    place: _Place
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
        return concatenate(parts) if self.spec.ragged_rank else np.concatenate(parts)


class Assembler:
    """Turns rows into arrays of the columns that a program asked for.

    A column is named as in Spark, a field of a struct as `person.age`, and the mask of a column as
    `age_mask`.

    Args:
        columns: Names of columns, fields or masks, or None for all columns and their masks.
        convert: How columns and fields become tensors, where the default is not wanted.
        sample: A batch with at least one row, which gives the types and the lengths of lists.

    Attributes:
        specs: A `ColumnSpec` for each array that is made, or a dict of them for each struct.

    Raises:
        MissingColumnError: The feed lacks a column.
        UnsupportedColumnError: A column's type does not become a tensor.
        ConfigurationError: What is asked for is not possible for the column.
    """

    def __init__(
        self,
        columns: Sequence[str] | None,
        convert: Mapping[str, Column],
        sample: LocatedBatch,
    ) -> None:
        self._schema: pa.Schema = sample.batch.schema
        self._convert = convert
        self._sample = sample.batch
        top = [(field.name, _Place(field.name, (), field)) for field in self._schema]
        for name in convert:
            self._check_options(name)
        if columns is None:
            self._sources = self._group(top)
        else:
            self._sources = {name: self._named(name) for name in columns}
        self.specs: dict[str, Any] = map_leaves(lambda source: source.spec, self._sources)

    def assemble(self, slices: Sequence[LocatedBatch]) -> dict[str, Any]:
        """Return an array of shape `(rows, *spec.shape)` for each column, a dict for each struct.

        Raises:
            DataError: A value does not fit; the message names its column and row.
        """
        arrays: dict[str, Any] = map_leaves(lambda source: source.convert(slices), self._sources)
        return arrays

    def _group(self, places: list[tuple[str, _Place]]) -> dict[str, Any]:
        """Return what columns become that lie beside each other, with their masks."""
        found: dict[str, Any] = {}
        for name, place in places:
            found[name] = self._source(place)
            if self._options(place).mask:
                found[name + _MASK] = self._mask(place)
        return found

    def _named(self, name: str) -> Any:
        place = self._find(name)
        if place is not None:
            return self._source(place)
        masked = self._find(name.removesuffix(_MASK)) if name.endswith(_MASK) else None
        if masked is not None and self._options(masked).mask:
            return self._mask(masked)
        raise self._missing(name)

    def _source(self, place: _Place) -> Any:
        if is_struct(place.field.type):
            return self._group(place.fields())
        if self._schema.names.count(place.column) > 1:
            raise UnsupportedColumnError(
                f"the feed has several columns named {place.column!r}; rename them in Spark, as "
                "with df.withColumnRenamed(...)"
            )
        spec = column_spec(place.field, place.take(self._sample), self._options(place))
        return _Source(place, spec)

    def _mask(self, place: _Place) -> _Source:
        source: _Source = self._source(place)
        return _Source(place, mask_spec(source.spec, place.field.name + _MASK))

    def _options(self, place: _Place) -> Column:
        return self._convert.get(place.field.name, Column())

    def _find(self, name: str) -> _Place | None:
        """Return the place of a column, or of a field that is named with dots."""
        if name in self._schema.names:
            index = self._schema.names.index(name)
            return _Place(name, (), self._schema.field(index))
        outer, dot, _ = name.rpartition(".")
        struct = self._find(outer) if dot else None
        if struct is None or not is_struct(struct.field.type):
            return None
        inner = [place for _, place in struct.fields() if place.field.name == name]
        return inner[0] if inner else None

    def _missing(self, name: str) -> MissingColumnError:
        return MissingColumnError(
            f"there is no column {name!r} in the feed; it has {', '.join(self._schema.names)}"
        )

    def _check_options(self, name: str) -> None:
        options, place = self._convert[name], self._find(name)
        if place is None:
            raise self._missing(name)
        if not isinstance(options, Column):
            raise ConfigurationError(
                f"convert={{{name!r}: {options!r}}} should be a tsm.Column, such as "
                "tsm.Column(shape=(28, 28, 1))"
            )
        if is_struct(place.field.type):
            names = ", ".join(repr(inner.field.name) for _, inner in place.fields())
            raise ConfigurationError(
                f"convert={{{name!r}: ...}} is a struct; give its fields' names instead: {names}"
            )
        if options.mask and self._find(name + _MASK) is not None:
            raise ConfigurationError(
                f"the mask of column {name!r} would be called {name + _MASK!r}, which is another "
                "column of the feed; rename that one in Spark"
            )
