"""Commits of rows on every node."""

from __future__ import annotations

from collections.abc import Sequence

from tensorsparkml.control.protocol.feeds import Commit


def commit_of(
    feed: str, key: str, segment: str, rows: Sequence[int], sizes: Sequence[int]
) -> Commit:
    """Return a commit of so many rows, of that size, by rank; nodes with neither are left out."""
    parts = [part for part in zip(range(len(rows)), rows, sizes, strict=True) if any(part[1:])]
    ranks, own, own_sizes = zip(*parts, strict=True) if parts else ((), (), ())
    return Commit(feed, key, segment, ranks, own, own_sizes)
