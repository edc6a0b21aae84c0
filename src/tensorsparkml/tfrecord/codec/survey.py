"""Which features records have: those of all records of a batch at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tensorsparkml.tfrecord.codec.decode import (
    Left,
    Maps,
    features_maps,
    repeated,
    sequence_maps,
)
from tensorsparkml.tfrecord.codec.exact import FeatureValue, RecordError, features_of, sequence_of
from tensorsparkml.tfrecord.codec.features import Kind
from tensorsparkml.tfrecord.codec.layout import Entries, Rows, entries
from tensorsparkml.tfrecord.codec.varints import packed_varints, single_varints
from tensorsparkml.tfrecord.codec.wire import FIRST, Places, View, bounds, heads

_MORE = 0x80  # the bit of a varint's byte that another one follows


@dataclass
class Seen:
    """What records have as one of their features.

    Attributes:
        kinds: The first record with values of each kind.
        several: Whether a record, or a step of one, has more than one value.
        text: Whether all bytes are UTF-8.
    """

    kinds: dict[Kind, int] = field(default_factory=dict)
    several: bool = False
    text: bool = True

    def add(self, kind: Kind, row: int, *, several: bool, text: bool = True) -> None:
        """Note values."""
        self.kinds[kind] = min(row, self.kinds.get(kind, row))
        self.several |= several
        self.text &= text


@dataclass
class Survey:
    """The features of some records.

    Attributes:
        features: Those of `Example`, or of the context of `SequenceExample`.
        steps: The feature lists.
        errors: Why records cannot be read, by their numbers.
    """

    features: dict[str, Seen] = field(default_factory=dict)
    steps: dict[str, Seen] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)


def survey(view: View, start: Places, end: Places, *, sequences: bool = False) -> Survey:
    """Return which features records have.

    Args:
        view: The bytes.
        start: Where the records begin, in order.
        end: Where they end.
        sequences: Whether the records are of the kind `SequenceExample`, and not `Example`.
    """
    left, found = Left(len(start)), Survey()
    parts: list[tuple[dict[str, Seen], str, _Found]] = []
    if sequences:
        context, lists = sequence_maps(view, start, end, left)
        for each in _once(view, lists, left):
            rows, offsets, first, last = repeated(view, each.rows, each.start, each.end, left)
            steps = np.repeat(rows, np.diff(offsets))
            name = each.key.decode(errors="replace")
            parts.append((found.steps, name, _Found(None, rows)))
            parts += [(found.steps, name, of) for of in _kinds(view, steps, first, last, left)]
    else:
        context = features_maps(view, start, end, left)
    for each in _once(view, context, left):
        name = each.key.decode(errors="replace")
        parts.append((found.features, name, _Found(None, each.rows)))
        of_kinds = _kinds(view, each.rows, each.start, each.end, left)
        parts += [(found.features, name, of) for of in of_kinds]
    for names, name, part in parts:  # now that all records are known that are left to `exact`
        _add(view, names, name, part, left)
    for row in np.flatnonzero(left.rows).tolist():
        record = view.bytes[start[row] : end[row]].tobytes()
        try:
            features, steps_of = sequence_of(record) if sequences else (features_of(record), {})
        except RecordError as error:
            found.errors[row] = str(error)
            continue
        for key, value in features.items():
            _add_one(found.features.setdefault(key.decode(errors="replace"), Seen()), row, [value])
        for key, values in steps_of.items():
            _add_one(found.steps.setdefault(key.decode(errors="replace"), Seen()), row, values)
    return found


class _Found(NamedTuple):
    """Features of one kind, each of which has values; without a kind, records with a feature.

    Attributes:
        kind: The kind.
        rows: The records.
        several: Whether each has more than one value.
        values: Of bytes: the record of each value, and where it begins and ends.
    """

    kind: Kind | None
    rows: Rows
    several: npt.NDArray[np.bool_] | None = None
    values: Maps | None = None


def _once(view: View, maps: Maps, left: Left) -> Iterable[Entries]:
    """Yield the entries of maps; records that have a key twice are left."""
    had: dict[bytes, npt.NDArray[np.bool_]] = {}
    for each in entries(view, *maps, _all, left.add):
        if each.key not in had:
            had[each.key] = np.zeros(len(left.rows), np.bool_)
        left.add(each.rows[had[each.key][each.rows]])
        had[each.key][each.rows] = True
        yield each


def _all(_: bytes) -> bool:
    return True


def _kinds(view: View, rows: Rows, start: Places, end: Places, left: Left) -> Iterable[_Found]:
    """Yield the features that lie somewhere, by their kinds."""
    value = heads(view, start)
    there = start < end
    known = value.end == end
    for kind in Kind:
        chosen = there & known & (value.tag == (kind << 3 | 2)) & (value.start < value.end)
        if chosen.any():
            lists = Maps(rows[chosen], *value.where(chosen)[1:])
            yield (_bytes if kind is Kind.BYTES else _numbers)(view, kind, lists, left)
    tags = [kind << 3 | 2 for kind in Kind]
    left.add(rows[there & ~(known & np.isin(value.tag, tags))])


def _bytes(view: View, kind: Kind, lists: Maps, left: Left) -> _Found:
    rows, offsets, first, last = repeated(view, *lists, left)
    counts = np.diff(offsets)
    return _Found(kind, rows, counts > 1, Maps(np.repeat(rows, counts), first, last))


def _numbers(view: View, kind: Kind, lists: Maps, left: Left) -> _Found:
    rows, start, end = lists
    inner = heads(view, start)
    good = (inner.tag == FIRST) & (inner.end == end)
    if kind is Kind.FLOAT:
        size = inner.end - inner.start
        good &= (size & 3) == 0
        one: npt.NDArray[np.bool_] = size == 4
    else:
        good &= (inner.start == inner.end) | (view.bytes[np.where(good, end, 1) - 1] < _MORE)
        one = np.zeros(len(rows), np.bool_)
        _, one[good] = single_varints(view, inner.start[good], end[good])
        many = np.flatnonzero(good & ~one)
        offsets, data = bounds(view.slices(inner.start[many], end[many]))
        good[many] = packed_varints(data, offsets)[2]
    left.add(rows[~good])
    good &= inner.start < inner.end
    return _Found(kind, rows[good], ~one[good])


def _add(view: View, names: dict[str, Seen], name: str, found: _Found, left: Left) -> None:
    keep = ~left.rows[found.rows]
    if not keep.any():
        return
    seen = names.setdefault(name, Seen())
    if found.kind is None or found.several is None:
        return
    text = seen.text
    if text and found.values is not None:
        rows, start, end = found.values
        kept = ~left.rows[rows]
        text = _is_text(view, start[kept], end[kept])
    row = int(found.rows[np.argmax(keep)])
    seen.add(found.kind, row, several=bool(found.several[keep].any()), text=text)


def _is_text(view: View, start: Places, end: Places) -> bool:
    order = np.argsort(start, kind="stable")
    try:
        view.slices(start[order], end[order]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _add_one(seen: Seen, row: int, features: Iterable[FeatureValue]) -> None:
    for kind, values in features:
        if kind is not None and values:
            text = kind is not Kind.BYTES or all(map(is_utf8, values))
            seen.add(kind, row, several=len(values) > 1, text=text)


def is_utf8(value: bytes) -> bool:
    """Return whether bytes are UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
