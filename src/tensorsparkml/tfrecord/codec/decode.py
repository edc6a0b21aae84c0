"""Records to columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.codec.layout import FEW, MANY, Entries, Rows, entries
from tensorsparkml.tfrecord.codec.varints import packed_varints, single_varints
from tensorsparkml.tfrecord.codec.wire import (
    FIRST,
    SECOND,
    Heads,
    Places,
    View,
    bounds,
    heads,
)

_MORE = 0x80  # the bit of a varint's byte that another one follows

Read = tuple[pa.Array, Rows]  # the values, and the rows that they are of


class Left:
    """The records that are left to `exact`.

    Args:
        count: Number of all records.
    """

    def __init__(self, count: int) -> None:
        self.rows = np.zeros(count, np.bool_)

    def add(self, rows: npt.NDArray[np.int64]) -> None:
        """Leave some records."""
        self.rows[rows] = True


def decode_features(
    view: View, start: Places, end: Places, columns: Sequence[FeatureColumn], left: Left
) -> list[pa.Array]:
    """Return columns of records of the kind `Example`.

    Args:
        view: The bytes.
        start: Where the records begin.
        end: Where they end.
        columns: What to read.
        left: Gets the records that are left to `exact`, which are null here.
    """
    return _columns(view, features_maps(view, start, end, left), columns, left)


def decode_sequences(
    view: View, start: Places, end: Places, columns: Sequence[FeatureColumn], left: Left
) -> list[pa.Array]:
    """Return columns of records of the kind `SequenceExample`; see `decode_features`."""
    context, lists = sequence_maps(view, start, end, left)
    of_context = [column for column in columns if not column.steps]
    of_lists = [column for column in columns if column.steps]
    found = dict(zip(of_context, _columns(view, context, of_context, left), strict=True))
    found |= dict(zip(of_lists, _columns(view, lists, of_lists, left), strict=True))
    return [found[column] for column in columns]


class Maps(NamedTuple):
    """The maps of some records: which records have one, and where it begins and ends."""

    rows: Rows
    start: Places
    end: Places


def features_maps(view: View, start: Places, end: Places, left: Left) -> Maps:
    """Return the features of records of the kind `Example`."""
    rows = np.flatnonzero(start < end)
    top = heads(view, start[rows])
    rows, top = _kept(rows, top, (top.tag == FIRST) & (top.end == end[rows]), left)
    return Maps(rows, top.start, top.end)


def sequence_maps(view: View, start: Places, end: Places, left: Left) -> tuple[Maps, Maps]:
    """Return the contexts and the feature lists of records of the kind `SequenceExample`."""
    rows = np.flatnonzero(start < end)
    start, end = start[rows], end[rows]
    context = heads(view, start)
    there = context.tag == FIRST
    rest = np.where(there, context.end, start)
    good = ~there | (context.end <= end)
    rows, context = _kept(rows, context, good, left)
    there, rest, end = there[good], rest[good], end[good]
    first = Maps(rows[there], context.start[there], context.end[there])
    more = rest < end
    rows, rest, end = rows[more], rest[more], end[more]
    lists = heads(view, rest)
    rows, lists = _kept(rows, lists, (lists.tag == SECOND) & (lists.end == end), left)
    return first, Maps(rows, lists.start, lists.end)


def _columns(
    view: View, maps: Maps, columns: Sequence[FeatureColumn], left: Left
) -> list[pa.Array]:
    """Return the columns of maps, of which some rows have none."""
    by_key = {column.name.encode(): column for column in columns}
    found: dict[bytes, list[Entries]] = defaultdict(list)
    for each in entries(view, *maps, by_key.__contains__, left.add):
        found[each.key].append(each)
    return [_column(view, column, found[key], left) for key, column in by_key.items()]


def _column(view: View, column: FeatureColumn, parts: list[Entries], left: Left) -> pa.Array:
    count = len(left.rows)
    if not parts:
        return pa.nulls(count, column.type)
    rows, start, end = parts[0].rows, parts[0].start, parts[0].end
    if len(parts) > 1:
        rows, start, end = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("rows", "start", "end")
        )
        order = np.argsort(rows, kind="stable")
        rows, start, end = rows[order], start[order], end[order]
        again = rows[1:] == rows[:-1]
        left.add(rows[1:][again])  # the last one counts
    keep = ~left.rows[rows]
    if not keep.all():
        rows, start, end = rows[keep], start[keep], end[keep]
    if column.steps:
        values, rows = _steps(view, column, rows, start, end, left)
    else:
        values, rows = _values(view, column.kind, rows, start, end, column.depth > 0, left)
    return _spread(values, rows, count)


def _steps(
    view: View, column: FeatureColumn, rows: Rows, start: Places, end: Places, left: Left
) -> Read:
    """Read feature lists."""
    rows, offsets, start, end = repeated(view, rows, start, end, left)
    count = int(offsets[-1])
    bad = Left(count)
    many = column.depth == 2
    values, steps = _values(view, column.kind, np.arange(count), start, end, many, bad)
    values = _spread(values, steps, count)
    if many:  # a step without values has an empty list
        values = pa.ListArray.from_arrays(values.offsets, values.values)
    found = pa.ListArray.from_arrays(pa.array(offsets), values)
    if bad.rows.any():
        owners = np.searchsorted(offsets, np.flatnonzero(bad.rows), side="right") - 1
        good = np.ones(len(rows), np.bool_)
        good[owners] = False
        left.add(rows[~good])
        found, rows = found.filter(pa.array(good)), rows[good]
    return found, rows


def _values(
    view: View, kind: Kind, rows: Rows, start: Places, end: Places, many: bool, left: Left
) -> Read:
    """Read features; those without a kind have no value."""
    value = heads(view, start)
    there = start < end
    if not there.all():
        rows, end, value = rows[there], end[there], value.where(there)
    rows, value = _kept(rows, value, (value.tag == (kind << 3 | 2)) & (value.end == end), left)
    read = {Kind.BYTES: _bytes, Kind.FLOAT: _floats, Kind.INT64: _integers}[kind]
    return read(view, rows, value.start, value.end, many, left)


def _spread(values: pa.Array, rows: Rows, count: int) -> pa.Array:
    """Return the values of some rows as those of all, with nulls for the others."""
    if len(rows) == count:
        return values
    places = np.zeros(count, np.int32)
    missing = np.ones(count, np.bool_)
    places[rows] = np.arange(len(rows), dtype=np.int32)
    missing[rows] = False
    return values.take(pa.array(places, mask=missing))


def _integers(view: View, rows: Rows, start: Places, end: Places, many: bool, left: Left) -> Read:
    rows, start, end = _packed(view, rows, start, end, many, left)
    if not many:
        values, good = single_varints(view, start, end)
        if not good.all():
            left.add(rows[~good])
            rows, values = rows[good], values[good]
        return pa.array(values), rows
    whole = (start == end) | (view.bytes[end - 1] < _MORE)
    if not whole.all():
        left.add(rows[~whole])
        rows, start, end = rows[whole], start[whole], end[whole]
    offsets, data = bounds(view.slices(start, end))
    values, offsets, good = packed_varints(data, offsets)
    found = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
    if not good.all():
        left.add(rows[~good])
        found, rows = found.filter(pa.array(good)), rows[good]
    return found, rows


def _floats(view: View, rows: Rows, start: Places, end: Places, many: bool, left: Left) -> Read:
    rows, start, end = _packed(view, rows, start, end, many, left)
    size = end - start
    good = (size & 3) == 0 if many else size == 4
    if not good.all():
        left.add(rows[~good])
        rows, start, end = rows[good], start[good], end[good]
    if not many:
        return pa.array(view.words[start].astype(np.uint32).view(np.float32)), rows
    offsets, data = bounds(view.slices(start, end))
    return pa.ListArray.from_arrays(pa.array(offsets >> 2), pa.array(data.view("<f4"))), rows


def _bytes(view: View, rows: Rows, start: Places, end: Places, many: bool, left: Left) -> Read:
    if many:
        rows, offsets, start, end = repeated(view, rows, start, end, left)
        return pa.ListArray.from_arrays(pa.array(offsets), view.slices(start, end)), rows
    rows, start, end = _packed(view, rows, start, end, many, left)
    return view.slices(start, end), rows


def _packed(
    view: View, rows: Rows, start: Places, end: Places, many: bool, left: Left
) -> tuple[Rows, Places, Places]:
    """Return where the content of the only field of messages is.

    A message without fields has no values: its content is nowhere, or where a single value is
    wanted the row is left out.
    """
    inner = heads(view, start)
    empty = start == end
    if not empty.any():
        rows, inner = _kept(rows, inner, (inner.tag == FIRST) & (inner.end == end), left)
        return rows, inner.start, inner.end
    if not many:
        there = ~empty
        return _packed(view, rows[there], start[there], end[there], many, left)
    good = empty | ((inner.tag == FIRST) & (inner.end == end))
    left.add(rows[~good])
    rows, start, empty, inner = rows[good], start[good], empty[good], inner.where(good)
    return rows, np.where(empty, start, inner.start), np.where(empty, start, inner.end)


def repeated(
    view: View, rows: Rows, start: Places, end: Places, left: Left
) -> tuple[Rows, npt.NDArray[np.int32], Places, Places]:
    """Return the fields of messages that have nothing but field 1, any number of times.

    Returns:
        The rows, where the fields of each begin among all with the end of the last, and where the
        contents of the fields begin and end.
    """
    owners, starts, ends = [], [], []
    going, place, turn = np.flatnonzero(start < end), start, 0
    place, stop = start[going], end[going]
    good = np.ones(len(rows), np.bool_)
    while len(going):
        inner = heads(view, place)
        sound = (inner.tag == FIRST) & (inner.end <= stop)
        if turn >= MANY and len(going) <= FEW:
            sound[:] = False
        turn += 1
        if not sound.all():
            good[going[~sound]] = False
            going, stop, inner = going[sound], stop[sound], inner.where(sound)
        owners.append(going)
        starts.append(inner.start)
        ends.append(inner.end)
        more = inner.end < stop
        going, place, stop = going[more], inner.end[more], stop[more]
    owner, begin, finish = (
        np.concatenate(each) if each else np.zeros(0, np.int64) for each in (owners, starts, ends)
    )
    order = np.argsort(owner, kind="stable")
    if not good.all():
        left.add(rows[~good])
        order = order[good[owner[order]]]
        owner = (np.cumsum(good) - 1)[owner]
        rows = rows[good]
    counts = np.bincount(owner[order], minlength=len(rows)) if len(order) else np.zeros(len(rows))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return rows, offsets, begin[order], finish[order]


def _kept(rows: Rows, fields: Heads, good: npt.NDArray[np.bool_], left: Left) -> tuple[Rows, Heads]:
    """Leave the rows that are not good to `exact`, and return the others."""
    if good.all():
        return rows, fields
    left.add(rows[~good])
    return rows[good], fields.where(good)
