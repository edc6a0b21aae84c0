"""Finds the features of many records at once.

Records of one writer have their features in the same order, so the first features of all records
are read together, then the second ones, and so on. Records that are written in another way than
TensorFlow's own writers do it, or are damaged, are left to `exact`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tensorsparkml.tfrecord.codec.wire import FIRST, SECOND, Places, View, heads

Rows = npt.NDArray[np.int64]

FEW = 8  # records that go on for so long are read one by one
MANY = 256  # features of a record
_KEYS = 64  # at one place of records; each costs a look at all of them


@dataclass(frozen=True)
class Entries:
    """The entries of a map, such as that of features, that have the same key.

    Attributes:
        key: The key.
        rows: The records.
        start: Where the value's content begins.
        end: Where it ends.
    """

    key: bytes
    rows: Rows
    start: Places
    end: Places


def entries(
    view: View,
    rows: Rows,
    start: Places,
    end: Places,
    wanted: Callable[[bytes], bool],
    leave: Callable[[Rows], None],
) -> Iterator[Entries]:
    """Read maps, such as the features of records.

    Args:
        view: The bytes.
        rows: Numbers of the records that have the maps.
        start: Where the maps begin.
        end: Where they end.
        wanted: Whether the values of a key are read.
        leave: Gets records that are left to `exact`.

    Yields:
        The entries of each key that is wanted; those of one key may come in several parts.
    """
    count = 0
    more = start < end
    while True:
        if not more.all():
            rows, start, end = rows[more], start[more], end[more]
        if not len(rows):
            return
        if count >= MANY and len(rows) <= FEW:
            leave(rows)
            return
        count += 1
        entry = heads(view, start)
        key = heads(view, entry.start)
        good = (entry.tag == FIRST) & (entry.end <= end) & (key.tag == FIRST)
        good &= key.end < entry.end
        if not good.all():
            leave(rows[~good])
            rows, end = rows[good], end[good]
            entry, key = entry.where(good), key.where(good)
        found = rows, key.start, key.end, entry.end
        yield from _by_key(view, found, wanted, leave)
        start, more = entry.end, entry.end < end


def _by_key(
    view: View,
    found: tuple[Rows, Places, Places, Places],
    wanted: Callable[[bytes], bool],
    leave: Callable[[Rows], None],
) -> Iterator[Entries]:
    """Yield entries by their keys.

    Args:
        view: The bytes.
        found: The records, where the keys begin and end, and where the entries end.
        wanted: As for `entries`.
        leave: As for `entries`.
    """
    last = len(view.words) - 1
    for _ in range(_KEYS):
        if not len(found[0]):
            return
        _, start, key_end, _ = found
        key = view.bytes[start[0] : key_end[0]].tobytes()
        same = key_end - start == len(key)
        for place, (word, mask) in enumerate(zip(*_key_words(key), strict=True)):
            same &= (view.words[np.minimum(start + 8 * place, last)] & mask) == word
        everything = bool(same.all())
        if wanted(key):
            rows, _, key_end, end = found if everything else (each[same] for each in found)
            value = heads(view, key_end)
            good = (value.tag == SECOND) & (value.end == end)
            if not good.all():
                leave(rows[~good])
                rows, value = rows[good], value.where(good)
            yield Entries(key, rows, value.start, value.end)
        if everything:
            return
        others = ~same
        found = found[0][others], found[1][others], found[2][others], found[3][others]
    leave(found[0])


@lru_cache(maxsize=4096)
def _key_words(key: bytes) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return a key as integers of eight bytes, and which of their bits count."""
    padding = -len(key) % 8
    words = np.frombuffer(key + b"\0" * padding, "<u8")
    mask = np.frombuffer(b"\xff" * len(key) + b"\0" * padding, "<u8")
    return words, mask
