"""Reads a part of a file as record batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.files.framing import Damage, Records
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.tfrecord.codec.records import decode_records
from tensorsparkml.tfrecord.codec.wire import View
from tensorsparkml.tfrecord.schema.conversions import feature_column, to_column
from tensorsparkml.tfrecord.source.options import Mode, Options, RecordType
from tensorsparkml.tfrecord.source.reading import WRONG_CHECKSUM, Part, malformed, read_records


class RowReader:
    """Reads records as rows of a schema.

    Args:
        schema: The columns: features, those of folders, and that of corrupt records.
        folders: Names of the columns that folders make.
        options: What the user asks for.

    Raises:
        UnsupportedColumnError: No feature has values of a column's type.
        ConfigurationError: The schema does not fit the options.
    """

    def __init__(self, schema: pa.Schema, folders: frozenset[str], options: Options) -> None:
        self._schema = schema
        self._options = options
        fields = [field for field in schema if field.name not in folders]
        self._corrupt: pa.Field | None = None
        if options.mode is Mode.PERMISSIVE:
            self._corrupt = _corrupt_field(fields, options.columnNameOfCorruptRecord)
            fields = [field for field in fields if field is not self._corrupt]
            _check_nullable(fields)
        self._void = [field.name for field in fields if pa.types.is_null(field.type)]
        self._fields = [field for field in fields if not pa.types.is_null(field.type)]
        if options.recordType is RecordType.BYTE_ARRAY:
            check_byte_array(fields)
            self._columns = None
        else:
            sequences = options.recordType is RecordType.SEQUENCE_EXAMPLE
            self._columns = [feature_column(field, sequences=sequences) for field in self._fields]

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a part of a file.

        Raises:
            DataError: The file cannot be read, or in the mode FAILFAST a record cannot.
        """
        for found in read_records(part, self._options):
            if isinstance(found, Damage):
                yield from self._damaged(found, part)
            else:
                yield self._rows(found, part)

    def _rows(self, records: Records, part: Part) -> pa.RecordBatch:
        errors = dict.fromkeys(records.wrong, WRONG_CHECKSUM)
        arrays = self._arrays(records, errors)
        count = len(records.start)
        corrupt: list[bytes | None] = [None] * count
        if errors:
            if self._options.mode is Mode.FAIL_FAST:
                row = min(errors)
                raise malformed(part, records.offset_of(row), errors[row])
            bad = np.zeros(count, np.bool_)
            bad[list(errors)] = True
            if self._options.mode is Mode.DROP_MALFORMED:
                places = pa.array(np.flatnonzero(~bad))
                count = len(places)
                corrupt = [None] * count
            else:
                places = pa.array(np.arange(count), mask=bad)
                for row in errors:
                    corrupt[row] = records.data[records.start[row] : records.end[row]]
            arrays = [array.take(places) for array in arrays]
        return self._with_others(arrays, count, corrupt, part)

    def _arrays(self, records: Records, errors: dict[int, str]) -> list[pa.Array]:
        """Return the columns that are features, and note the rows that cannot be read."""
        view, start, end = View(records.data), records.start, records.end
        if not self._fields:
            return []
        if self._columns is None:
            found = [view.slices(start, end)]
        else:
            sequences = self._options.recordType is RecordType.SEQUENCE_EXAMPLE
            found, failed = decode_records(view, start, end, self._columns, sequences=sequences)
            errors.update(failed)
        arrays = []
        for field, array in zip(self._fields, found, strict=True):
            converted = to_column(array, field.type, field.name)
            for row in converted.wrong.tolist():
                errors.setdefault(row, converted.reason)
            values = self._with_empty_lists(converted.array)
            if not field.nullable and values.null_count:
                reason = f"it has no value for the column {field.name!r}, which is not nullable"
                for row in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist():
                    errors.setdefault(row, reason)
            arrays.append(values)
        return arrays

    def _with_empty_lists(self, array: pa.Array) -> pa.Array:
        if self._options.emptyLists == "empty" or not pa.types.is_list(array.type):
            return array
        empty = pc.fill_null(pc.equal(pc.list_value_length(array), 0), True)
        places = pa.array(np.arange(len(array)), mask=empty.to_numpy(zero_copy_only=False))
        return array.take(places)

    def _damaged(self, damage: Damage, part: Part) -> Iterator[pa.RecordBatch]:
        """Yield what stands for bytes that are no records."""
        if self._options.mode is Mode.FAIL_FAST:
            raise malformed(part, damage.offset, damage.reason)
        if self._options.mode is Mode.PERMISSIVE:
            nothing = [pa.nulls(1, field.type) for field in self._fields]
            yield self._with_others(nothing, 1, [damage.head], part)

    def _with_others(
        self, arrays: list[pa.Array], count: int, corrupt: list[bytes | None], part: Part
    ) -> pa.RecordBatch:
        """Return a batch of all columns, in the schema's order."""
        by_name: dict[str, Any] = {
            field.name: array for field, array in zip(self._fields, arrays, strict=True)
        }
        by_name |= {name: pa.nulls(count) for name in self._void}
        if (field := self._corrupt) is not None:
            values: list[Any] = list(corrupt)
            if pa.types.is_string(field.type):
                values = [each and each.decode(errors="replace") for each in corrupt]
            by_name[field.name] = pa.array(values, field.type)
        columns = [
            by_name[name] if name in by_name else pa.repeat(part.values[name], count)
            for name in self._schema.names
        ]
        if not columns:
            nothing = pa.StructArray.from_arrays([], fields=[], mask=pa.array([False] * count))
            return pa.RecordBatch.from_struct_array(nothing)
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _corrupt_field(fields: list[pa.Field], name: str) -> pa.Field | None:
    for field in fields:
        if field.name == name:
            if not (pa.types.is_string(field.type) or pa.types.is_binary(field.type)):
                raise ConfigurationError(
                    f"the column {name!r} gets the bytes of corrupt records; make it binary or "
                    f"string, not {field.type}, or set columnNameOfCorruptRecord"
                )
            return field
    return None


def _check_nullable(fields: list[pa.Field]) -> None:
    if strict := [field.name for field in fields if not field.nullable]:
        raise ConfigurationError(
            f"the column {strict[0]!r} is not nullable, but the mode PERMISSIVE gives null for "
            "records that cannot be read; make it nullable, or choose another mode"
        )


def check_byte_array(fields: list[pa.Field]) -> None:
    """Check the columns of raw records.

    Raises:
        ConfigurationError: They are not one column of bytes, or none.
    """
    types = [field.type for field in fields]
    if len(types) > 1 or not all(pa.types.is_binary(t) or pa.types.is_string(t) for t in types):
        given = ", ".join(f"{field.name} {field.type}" for field in fields)
        raise ConfigurationError(
            "with the recordType ByteArray, the rows have one column, of the type binary or "
            f"string, not {given}"
        )
