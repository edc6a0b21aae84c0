"""Records to columns: most of them at once, the others one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tensorsparkml.tfrecord.codec.decode import Left, decode_features, decode_sequences
from tensorsparkml.tfrecord.codec.exact import (
    FeatureValue,
    RecordError,
    features_of,
    sequence_of,
)
from tensorsparkml.tfrecord.codec.features import FeatureColumn
from tensorsparkml.tfrecord.codec.wire import Places, View


def decode_records(
    view: View,
    start: Places,
    end: Places,
    columns: Sequence[FeatureColumn],
    *,
    sequences: bool = False,
) -> tuple[list[pa.Array], dict[int, str]]:
    """Return columns of records.

    Args:
        view: The bytes.
        start: Where the records begin, in order.
        end: Where they end.
        columns: What to read.
        sequences: Whether the records are of the kind `SequenceExample`, and not `Example`.

    Returns:
        The columns. An absent feature is null, and so is a single value of a feature without
        values. The second part says of each record that cannot be read why; its columns are null.
    """
    left = Left(len(start))
    decode = decode_sequences if sequences else decode_features
    found = decode(view, start, end, columns, left)
    odd = np.flatnonzero(left.rows)
    if not len(odd):
        return found, {}
    errors: dict[int, str] = {}
    values: list[list[Any]] = [[] for _ in columns]
    for row in odd.tolist():
        record = view.bytes[start[row] : end[row]].tobytes()
        try:
            read = read_record(record, columns, sequences)
        except RecordError as error:
            errors[row] = str(error)
            read = [None] * len(columns)
        for each, value in zip(values, read, strict=True):
            each.append(value)
    places = np.arange(len(start))
    places[odd] = len(start) + np.arange(len(odd))
    taken = pa.array(places)
    patched = [
        pa.concat_arrays([fast, pa.array(each, column.type)]).take(taken)
        for column, fast, each in zip(columns, found, values, strict=True)
    ]
    return patched, errors


def read_record(record: bytes, columns: Sequence[FeatureColumn], sequences: bool) -> list[Any]:
    """Return the columns' values in one record; see `decode_records`.

    Raises:
        RecordError: It cannot be read, or does not fit the columns.
    """
    context: Mapping[bytes, FeatureValue]
    lists: Mapping[bytes, list[FeatureValue]]
    context, lists = sequence_of(record) if sequences else (features_of(record), {})
    found: list[Any] = []
    for column in columns:
        key = column.name.encode()
        if not column.steps:
            found.append(_value(column, context.get(key, (None, [])), column.depth > 0))
        elif (steps := lists.get(key)) is None:
            found.append(None)
        else:
            each = [_value(column, step, column.depth > 1) for step in steps]
            found.append([[] if one is None else one for one in each] if column.depth > 1 else each)
    return found


def _value(column: FeatureColumn, feature: FeatureValue, many: bool) -> Any:
    kind, values = feature
    if values and kind is not column.kind:
        assert kind is not None
        raise RecordError(
            f"the feature {column.name!r} has {kind.words}, but the column is one of "
            f"{column.kind.words}"
        )
    if many:
        return None if kind is None else values
    if len(values) > 1:
        raise RecordError(
            f"the feature {column.name!r} has {len(values)} values, but the column holds one"
        )
    return values[0] if values else None
