"""Names of columns: where in a record batch a column, a field of a struct or a mask comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.columns.options import Column, Matrix, Wanted
from tensorsparkml.data.columns.types import is_struct
from tensorsparkml.errors import ConfigurationError, MissingColumnError, UnsupportedColumnError

MASK = "_mask"

_LISTED = 30  # names in a message


@dataclass(frozen=True)
class Place:
    """Where a column or a field of a struct is in a record batch.

    Attributes:
        name: Its name among those beside it, such as `age`.
        column: Name of the record batch's column.
        path: Indices of the fields to take, from the outside.
        field: The field that is found there, under its full name, such as `person.age`.
    """

    name: str
    column: str
    path: tuple[int, ...]
    field: pa.Field

    def fields(self) -> list[Place]:
        """Return the fields of a struct."""
        return [
            Place(
                inner.name,
                self.column,
                (*self.path, index),
                inner.with_name(f"{self.field.name}.{inner.name}"),
            )
            for index, inner in enumerate(self.field.type)
        ]

    def inside(self, name: str) -> Place | None:
        """Return the field with a full name such as `person.age`, where this is a struct of it.

        The name of each field may have dots in it.
        """
        if not is_struct(self.field.type):
            return None
        fields = self.fields()
        for place in fields:
            if place.field.name == name:
                return place
        outside = (place for place in fields if name.startswith(f"{place.field.name}."))
        return next((found for place in outside if (found := place.inside(name))), None)

    def take(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the values; those of a null struct are null."""
        column = batch.column(self.column)
        return pc.struct_field(column, list(self.path)) if self.path else column


class Names:
    """The names that a program can use for what is in a feed.

    A column is named as in Spark, a field of a struct as `person.age`, and the mask of a column as
    `age_mask`.

    Args:
        schema: The feed's schema.
        convert: How columns and fields become tensors, where the default is not wanted.

    Raises:
        MissingColumnError: The feed lacks a column of `convert`.
        ConfigurationError: What is asked for is not possible for the column.
    """

    def __init__(self, schema: pa.Schema, convert: Mapping[str, Column]) -> None:
        self._schema = schema
        self._counts = Counter(schema.names)
        self._convert = convert
        for name, options in convert.items():
            self._check(name, options)

    def all(self) -> list[Place]:
        """Return the places of all columns.

        Raises:
            UnsupportedColumnError: Several have one name.
        """
        return [self.look_up(name)[0] for name in self._schema.names]

    def of_matrix(self, matrix: Matrix) -> list[str]:
        """Return the names of a matrix's columns.

        Raises:
            MissingColumnError: None matches its pattern.
        """
        if not isinstance(matrix.columns, str):
            return list(matrix.columns)
        found = [name for name in self._schema.names if fnmatchcase(name, matrix.columns)]
        if not found:
            raise MissingColumnError(
                f"no column of the feed has a name like {matrix.columns!r}; it has {self._listed()}"
            )
        return found

    def options(self, place: Place) -> Column:
        """Return what is asked for of a column or field."""
        return self._convert.get(place.field.name, Column())

    def look_up(self, name: str) -> tuple[Place, bool]:
        """Return the place that a name stands for, and whether the mask is meant.

        Raises:
            MissingColumnError: It stands for nothing.
            UnsupportedColumnError: It stands for several columns.
        """
        place = self._find(name)
        if place is not None:
            return place, False
        masked = self._find(name.removesuffix(MASK)) if name.endswith(MASK) else None
        if masked is None or not self.options(masked).mask:
            raise self._missing(name)
        return masked, True

    def _find(self, name: str) -> Place | None:
        if name in self._counts:
            if self._counts[name] > 1:
                raise UnsupportedColumnError(
                    f"the feed has several columns named {name!r}; rename them in Spark, as with "
                    "df.toDF(*names)"
                )
            return Place(name, name, (), self._schema.field(name))
        for outer in self._counts:
            if name.startswith(f"{outer}."):
                column = self._find(outer)
                if column is not None and (found := column.inside(name)) is not None:
                    return found
        return None

    def _missing(self, name: str) -> MissingColumnError:
        return MissingColumnError(
            f"there is no column {name!r} in the feed; it has {self._listed()}"
        )

    def _listed(self) -> str:
        return listed(self._schema.names)

    def _check(self, name: str, options: Column) -> None:
        place = self._find(name)
        if place is None:
            raise self._missing(name)
        if is_struct(place.field.type):
            names = ", ".join(repr(inner.field.name) for inner in place.fields())
            raise ConfigurationError(
                f"convert={{{name!r}: ...}} names a struct; name its fields instead: {names}"
            )
        if options.mask and self._find(name + MASK) is not None:
            raise ConfigurationError(
                f"the mask of column {name!r} would be called {name + MASK!r}, but the feed has a "
                "column of this name; rename that column in Spark"
            )


def listed(names: Sequence[str]) -> str:
    """Return names for a message, which has at most thirty of them."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def needed_columns(
    schema: pa.Schema, names: Iterable[Wanted] | None, convert: Mapping[str, Column]
) -> list[str]:
    """Return the columns that must be read for what is named: columns, fields, masks, matrices.

    Args:
        schema: The feed's schema.
        names: What is named, or None for all.
        convert: How columns and fields become tensors, where the default is not wanted.

    Raises:
        MissingColumnError: One is not there.
    """
    known = Names(schema, convert)
    if names is None:
        places = known.all()
    else:
        single = (known.of_matrix(name) if isinstance(name, Matrix) else [name] for name in names)
        places = [known.look_up(name)[0] for several in single for name in several]
    return list(dict.fromkeys(place.column for place in places))
