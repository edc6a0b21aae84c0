"""Which rows are whose: each row once, even shares, few parts that two nodes read."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.feeds.lockstep import ClosedFeed, PassCursor, Step, plan_pass
from tensorsparkml.data.files.sharding import (
    Part,
    Piece,
    nodes_by_size,
    parts_of,
    share,
    share_rows,
)

FILES = st.lists(st.lists(st.integers(0, 20), max_size=5), max_size=6)


def rows(pieces: list[Piece]) -> list[tuple[int, int, int]]:
    return [
        (piece.file, piece.group, row)
        for piece in pieces
        for row in range(piece.first, piece.first + piece.rows)
    ]


def test_an_example() -> None:
    parts = parts_of([[4, 3], [], [0, 6]])
    assert parts == [Part(0, 0, 4), Part(0, 1, 3), Part(2, 0, 0), Part(2, 1, 6)]
    assert share(parts, 2, 0) == [Piece(0, 0, 0, 4), Piece(0, 1, 0, 3)]
    assert share(parts, 2, 1) == [Piece(2, 1, 0, 6)]
    assert share(parts, 3, 1) == [Piece(0, 1, 1, 2), Piece(2, 1, 0, 2)]


@given(FILES, st.integers(1, 5), st.randoms())
def test_each_row_is_one_nodes(files: list[list[int]], nodes: int, random: object) -> None:
    parts = parts_of(files)
    random.shuffle(parts)  # type: ignore[attr-defined]
    shares = [share(parts, nodes, rank) for rank in range(nodes)]
    read = [row for pieces in shares for row in rows(pieces)]
    assert read == [(p.file, p.group, row) for p in parts for row in range(p.rows)]
    sizes = [len(rows(pieces)) for pieces in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [share_rows(len(read), nodes, rank) for rank in range(nodes)]
    readers = Counter((piece.file, piece.group) for pieces in shares for piece in pieces)
    assert sum(count - 1 for count in readers.values()) <= nodes - 1
    assert all(piece.rows > 0 for pieces in shares for piece in pieces)


@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 20), st.booleans(), st.integers(0, 4))
def test_a_plan_is_what_the_cursor_gives(
    total: int, nodes: int, size: int, drop: bool, least: int
) -> None:
    least = min(least, size)
    plans = []
    for rank in range(nodes):
        feed = ClosedFeed(total, nodes, share_rows(total, nodes, rank))
        cursor, steps = PassCursor(least), []
        while (step := cursor.next_when_closed(feed, size, drop)) is not None:
            cursor.advance(step)
            steps.append(step)
        plan = plan_pass(feed, size, drop, least)
        assert [Step(size, 1.0, size, size)] * plan.full + list(plan.last) == steps
        assert (plan.rows, plan.steps) == (cursor.yielded, len(steps))
        assert len(plan.last) <= 4
        assert drop or plan.rows == feed.rows
        plans.append(plan)
    assert len({plan.steps for plan in plans}) == 1


@pytest.mark.parametrize(
    ("sizes", "nodes", "expected"),
    [
        ([], 2, []),
        ([5], 3, [1]),
        ([10, 10, 10, 10], 2, [0, 0, 1, 1]),
        ([0, 0], 2, [0, 0]),
        ([100, 1, 1], 2, [0, 1, 1]),
    ],
)
def test_files_are_counted_where_they_are_read(
    sizes: list[int], nodes: int, expected: list[int]
) -> None:
    assert nodes_by_size(sizes, nodes) == expected


@given(st.lists(st.integers(0, 1000), max_size=20), st.integers(1, 5))
def test_nodes_by_size_are_in_order(sizes: list[int], nodes: int) -> None:
    found = nodes_by_size(sizes, nodes)
    assert found == sorted(found) and len(found) == len(sizes)
    assert all(0 <= node < nodes for node in found)
