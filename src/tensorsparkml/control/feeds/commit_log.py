"""The rows of a feed that have arrived, by keys of which each counts once."""

from __future__ import annotations

from collections import OrderedDict

_REMEMBERED_PARTS = 1_000  # that have ended; Spark repeats none that is older


class CommitLog:
    """Tells new rows from repeated ones.

    A key is `partition.piece`, or `part/partition.piece` in a feed that gets the rows of several
    Spark jobs, such as the micro-batches of a stream. The log forgets the keys of a part whose job
    has ended, so it does not grow with an endless stream.
    """

    def __init__(self) -> None:
        self._keys: dict[str, set[str]] = {}  # by part
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))

    def accept(self, key: str) -> bool:
        """Record a key, and return whether its rows are new."""
        part, _, rest = key.rpartition("/")
        if part in self._ended:
            return False
        keys = self._keys.setdefault(part, set())
        known = len(keys)
        keys.add(rest)
        return len(keys) > known

    def end(self, part: str) -> None:
        """Accept no more rows of a part, all of which have arrived."""
        self._keys.pop(part, None)
        self._ended[part] = None
        if len(self._ended) > _REMEMBERED_PARTS:
            self._ended.popitem(last=False)
