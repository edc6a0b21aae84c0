"""How record batches are cut into slices, and which nodes get them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.feeds.lockstep import balance
from tensorsparkml.executor.feeding.slices import Slice, Slicer, first_node

SPARK_ROWS = 10_000  # of a record batch, by default
TURN_BYTES = 16 * 2**20
FEW = st.integers(1, 4)
MANY = st.integers(5, 1_000)
SIZES = st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 4_000)), max_size=30)


def cut_all(slicer: Slicer, batches: Iterable[tuple[int, int]]) -> list[list[Slice]]:
    """Cut record batches, given as rows and bytes of a row."""
    return [slicer.cut(rows, rows * width) for rows, width in batches]


def feed(nodes: int, jobs: Iterable[Sequence[int]], width: int) -> list[int]:
    """Return the rows that each node gets of jobs, each with the rows of its partitions."""
    held = [0] * nodes
    for job, partitions in enumerate(jobs):
        for partition, rows in enumerate(partitions):
            slicer = Slicer(nodes, first_node(job, partition, nodes))
            for start in range(0, rows, SPARK_ROWS):
                length = min(SPARK_ROWS, rows - start)
                for part in slicer.cut(length, length * width):
                    held[part.node] += part.rows
    return held


@given(st.integers(1, 1_000), st.integers(0, 999), SIZES)
def test_slices_are_the_record_batch_on_different_nodes(
    nodes: int, first: int, batches: list[tuple[int, int]]
) -> None:
    parts = cut_all(Slicer(nodes, first), batches)
    for (rows, width), slices in zip(batches, parts, strict=True):
        found = [row for part in slices for row in range(part.start, part.start + part.rows)]
        assert found == list(range(rows))
        assert len({part.node for part in slices}) == len(slices)
        assert all(0 <= part.node < nodes for part in slices)
        lengths = [part.rows for part in slices]
        assert not rows or min(lengths) >= max(1, max(lengths) - 1)
        assert len(slices) <= max(4, rows * width // TURN_BYTES)


@given(st.integers(1, 1_000), st.integers(0, 999), SIZES)
def test_a_task_that_is_repeated_cuts_alike(
    nodes: int, first: int, batches: list[tuple[int, int]]
) -> None:
    assert cut_all(Slicer(nodes, first), batches) == cut_all(Slicer(nodes, first), batches)


@given(FEW, st.integers(0, 999), SIZES)
def test_few_nodes_share_every_record_batch(
    nodes: int, first: int, batches: list[tuple[int, int]]
) -> None:
    held: Counter[int] = Counter({node: 0 for node in range(nodes)})
    parts = cut_all(Slicer(nodes, first), batches)
    for (rows, _), slices in zip(batches, parts, strict=True):
        assert len(slices) == min(rows, nodes)
        for part in slices:
            held[part.node] += part.rows
        assert max(held.values()) - min(held.values()) <= 1


@given(MANY, st.integers(1, 20_000), st.integers(1, 4_000), st.integers(1, 200))
def test_many_nodes_differ_by_a_turn_at_most(
    nodes: int, rows: int, width: int, batches: int
) -> None:
    held = [0] * nodes
    for slices in cut_all(Slicer(nodes, 3), [(rows, width)] * batches):
        for part in slices:
            held[part.node] += part.rows
    turn = TURN_BYTES + rows * width  # which ends with a whole record batch
    assert (max(held) - min(held) - batches) * width <= turn


def test_the_nodes_take_turns() -> None:
    slicer = Slicer(200, 198)
    parts = cut_all(slicer, [(SPARK_ROWS, 80)] * 12)
    assert [part.node for part in parts[0]] == [198, 199, 0, 1]
    assert [part.rows for part in parts[0]] == [2_500] * 4
    # First each turn is a record batch, which is an eighth of the partition so far, and then more.
    assert [[part.node for part in slices] for slices in parts[1:]] == [
        [node] for node in (2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 10)
    ]


def test_rows_that_are_large_take_turns_within_a_record_batch() -> None:
    slices = Slicer(200, 0).cut(SPARK_ROWS, 7 * TURN_BYTES)
    assert [part.node for part in slices] == list(range(7))


@pytest.mark.parametrize("nodes", [5, 8, 16, 200, 1_000])
@pytest.mark.parametrize("partitions", [1, 2, 8, 200])
def test_a_stream_that_never_ends_reaches_all_nodes_evenly(nodes: int, partitions: int) -> None:
    """Each micro-batch has a few rows in each partition, so that each begins with its first."""
    slices_each = 12  # in the mean
    jobs = -(-slices_each * nodes // (4 * partitions))
    held = feed(nodes, [[100] * partitions] * jobs, width=80)
    mean = sum(held) / nodes
    assert min(held) >= mean - 6 * 25
    assert max(held) <= mean + 6 * 25
    # All have rows after a few times the micro-batches that it takes at least.
    soon = 4 * -(-nodes // (4 * partitions))
    assert min(feed(nodes, [[100] * partitions] * soon, width=80)) > 0


@given(MANY, st.integers(1, 60), st.integers(1, 12), st.integers(1, 800))
def test_partitions_of_one_job_are_spread(
    nodes: int, partitions: int, batches: int, width: int
) -> None:
    held = feed(nodes, [[batches * SPARK_ROWS] * partitions], width)
    turn = max(1, TURN_BYTES // (SPARK_ROWS * width)) * SPARK_ROWS
    assert max(held) - sum(held) / nodes <= 4 * min(turn, batches * SPARK_ROWS)


@pytest.mark.parametrize("nodes", [200, 1_000])
def test_little_of_a_large_feed_moves_when_it_closes(nodes: int) -> None:
    held = feed(nodes, [[16 * SPARK_ROWS] * 1_000], width=800)
    moves = balance(held)
    assert sum(move.rows for move in moves) < 0.03 * sum(held)
    assert max(Counter(move.source for move in moves).values()) < 10


def test_no_node_gives_away_most_of_a_small_feed() -> None:
    held = feed(200, [[10 * SPARK_ROWS]], width=80)
    assert max(held) <= sum(held) / 5
