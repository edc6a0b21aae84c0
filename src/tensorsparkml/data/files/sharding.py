"""Divides the rows of files among nodes: pure arithmetic, the same on every node.

Files consist of parts whose numbers of rows are known, such as the row groups of Parquet. The
nodes' shares are consecutive stretches of all rows, so at most one part less than there are nodes
is read by two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Rows of a file that are read together.

    Attributes:
        file: Index of the file.
        group: Place of the part in the file, from 0.
        rows: Number of its rows.
    """

    file: int
    group: int
    rows: int


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one part.

    Attributes:
        file: Index of the file.
        group: Place of the part in the file, from 0.
        first: Place in the part of the first row, from 0.
        rows: Number of rows, at least 1.
    """

    file: int
    group: int
    first: int
    rows: int


def parts_of(rows: Sequence[Sequence[int]]) -> list[Part]:
    """Return all parts in order, given the numbers of rows by file and part."""
    return [
        Part(file, group, count)
        for file, groups in enumerate(rows)
        for group, count in enumerate(groups)
    ]


def share_rows(total: int, nodes: int, rank: int) -> int:
    """Return how many rows are a node's: shares differ by at most one, the first are larger."""
    base, odd = divmod(total, nodes)
    return base + (rank < odd)


def share(parts: Sequence[Part], nodes: int, rank: int) -> list[Piece]:
    """Return a node's rows, in the order of the parts.

    Args:
        parts: All parts, in any order that is the same on every node.
        nodes: Number of nodes.
        rank: Rank of the node.
    """
    total = sum(part.rows for part in parts)
    begin = sum(share_rows(total, nodes, other) for other in range(rank))
    end = begin + share_rows(total, nodes, rank)
    pieces = []
    start = 0
    for part in parts:
        first, last = max(begin - start, 0), min(end - start, part.rows)
        if first < last:
            pieces.append(Piece(part.file, part.group, first, last - first))
        start += part.rows
    return pieces


def nodes_by_size(sizes: Sequence[int], nodes: int) -> list[int]:
    """Return for each file the node on which most of its rows are likely to be read.

    Args:
        sizes: The files' sizes in bytes.
        nodes: Number of nodes.
    """
    total = max(sum(sizes), 1)
    found, before = [], 0
    for size in sizes:
        found.append(min((before + size // 2) * nodes // total, nodes - 1))
        before += size
    return found
