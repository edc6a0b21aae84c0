"""Lockstep: the same number of batches everywhere, each row once, whatever the shares."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.feeds.lockstep import (
    ClosedFeed,
    PassCursor,
    Step,
    Transfer,
    balance,
    plan_pass,
)
from tensorsparkml.errors import EmptyFeedError

Row = tuple[int, int]
Sizes = Callable[[int], int]

shares = st.lists(st.integers(0, 25), min_size=1, max_size=5)


class SimulatedNode:
    """A node in a pass: its share of the rows, by position, and the batches it has yielded."""

    def __init__(self, rank: int, rows: int, least: int = 0) -> None:
        self.share: list[Row] = [(rank, index) for index in range(rows)]
        self.cursor = PassCursor(least)
        self.steps: list[Step] = []
        self.batches: list[list[Row]] = []

    def take(self, step: Step) -> None:
        start = self.cursor.yielded
        batch = self.share[start : start + step.rows]
        assert len(batch) == step.rows, "a batch of rows that the node does not hold"
        self.steps.append(step)
        self.batches.append(batch)
        self.cursor.advance(step)

    def read_while_open(self, held_by_all: int, sizes: Sizes, drop: bool, limit: int) -> None:
        for _ in range(limit):
            step = self.cursor.next_while_open(held_by_all, sizes(len(self.steps)), drop)
            if step is None:
                return
            assert self.cursor.yielded + step.rows <= held_by_all
            self.take(step)

    def read_to_the_end(self, feed: ClosedFeed, sizes: Sizes, drop: bool) -> None:
        while step := self.cursor.next_when_closed(feed, sizes(len(self.steps)), drop):
            self.take(step)


def run_pass(
    rows: list[int], sizes: Sizes, drop: bool, data: st.DataObject, least: int = 0
) -> list[SimulatedNode]:
    """One pass over a feed that closes when each node is at a place of its own."""
    nodes = [SimulatedNode(rank, count, least) for rank, count in enumerate(rows)]
    releases = data.draw(st.lists(st.integers(0, min(rows)), max_size=3).map(sorted), "releases")
    for held_by_all in releases:
        for node in nodes:
            node.read_while_open(held_by_all, sizes, drop, data.draw(st.integers(0, 30), "steps"))
    for transfer in balance(rows):
        source, target = nodes[transfer.source].share, nodes[transfer.target].share
        target += source[-transfer.rows :]
        del source[-transfer.rows :]
    for node in nodes:
        feed = ClosedFeed(sum(rows), len(rows), len(node.share))
        node.read_to_the_end(feed, sizes, drop)
    return nodes


def check_steps(nodes: list[SimulatedNode], sizes: Sizes, least: int = 0) -> None:
    """What holds in every step of every pass."""
    [steps] = {len(node.steps) for node in nodes}
    for number in range(steps):
        rows = [node.steps[number].rows for node in nodes]
        most = max(sizes(number), 2 * least) if number == steps - 1 else sizes(number)
        assert least <= min(rows) <= max(rows) <= most
        assert max(rows) - min(rows) <= 1
        for node in nodes:
            step = node.steps[number]
            assert step.weight == pytest.approx(step.rows * len(nodes) / sum(rows))


@given(shares, st.lists(st.integers(1, 7), min_size=1, max_size=4), st.data())
def test_without_dropping_each_row_is_delivered_exactly_once(
    rows: list[int], pattern: list[int], data: st.DataObject
) -> None:
    def sizes(number: int) -> int:
        return pattern[number % len(pattern)]

    nodes = run_pass(rows, sizes, False, data)

    check_steps(nodes, sizes)
    delivered = [row for node in nodes for batch in node.batches for row in batch]
    assert sorted(delivered) == [(rank, i) for rank, count in enumerate(rows) for i in range(count)]
    if sum(rows) >= len(rows) and 1 not in pattern:
        assert all(batch for node in nodes for batch in node.batches)


@given(shares, st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 5), st.data())
def test_no_batch_has_fewer_rows_than_it_must_have(
    rows: list[int], extra: list[int], least: int, data: st.DataObject
) -> None:
    """With one row for each of a node's replicas, no replica ever has an empty batch."""

    def sizes(number: int) -> int:
        return least - 1 + extra[number % len(extra)]

    rows = [count + least for count in rows]
    nodes = run_pass(rows, sizes, False, data, least)

    check_steps(nodes, sizes, least)
    delivered = [row for node in nodes for batch in node.batches for row in batch]
    assert sorted(delivered) == [(rank, i) for rank, count in enumerate(rows) for i in range(count)]


@pytest.mark.parametrize(
    ("total", "size", "least", "steps"),
    [
        (5, 1, 0, [[1, 1], [1, 1], [1, 0]]),
        (5, 1, 1, [[1, 1], [2, 1]]),
        (6, 1, 1, [[1, 1], [1, 1], [1, 1]]),
        (17, 8, 1, [[8, 7], [1, 1]]),
        (10, 4, 2, [[3, 3], [2, 2]]),  # of nodes with two replicas each
        (7, 2, 2, [[4, 3]]),
        (5, 4, 2, [[3, 2]]),
    ],
)
def test_known_steps(total: int, size: int, least: int, steps: list[list[int]]) -> None:
    found = []
    for rows in (-(-total // 2), total // 2):
        plan = plan_pass(ClosedFeed(total, 2, rows), size, False, least)
        found.append([size] * plan.full + [step.rows for step in plan.last])
    assert [list(step) for step in zip(*found, strict=True)] == steps


def test_too_few_rows_for_the_nodes_are_refused() -> None:
    feed = ClosedFeed(5, 2, 3)
    feed.require(2, "feed 'train'")
    with pytest.raises(EmptyFeedError, match=r"feed 'train' has 5 rows for 2 nodes; .* least 3"):
        feed.require(3, "feed 'train'")
    with pytest.raises(EmptyFeedError, match="each node needs at least one"):
        ClosedFeed(1, 2, 1).require(1, "feed 'train'")


@given(shares, st.integers(1, 7), st.data())
def test_dropping_the_remainder_leaves_out_less_than_one_step(
    rows: list[int], size: int, data: st.DataObject
) -> None:
    nodes = run_pass(rows, lambda _: size, True, data)

    check_steps(nodes, lambda _: size)
    delivered = [row for node in nodes for batch in node.batches for row in batch]
    assert len(set(delivered)) == len(delivered)
    assert sum(rows) - len(delivered) < len(rows) * size
    for node in nodes:
        assert [len(batch) for batch in node.batches] == [size] * len(node.batches)
        flat = [row for batch in node.batches for row in batch]
        assert flat == node.share[: len(flat)], "a row is left out before a later one is given"


@given(shares, st.integers(1, 7), st.data())
def test_batches_are_full_except_for_the_last_two(
    rows: list[int], size: int, data: st.DataObject
) -> None:
    nodes = run_pass(rows, lambda _: size, False, data)
    for node in nodes:
        lengths = [len(batch) for batch in node.batches]
        # The last but one gives up a row where else nothing would be left for the last.
        assert all(length == size for length in lengths[:-2])
        assert all(length >= size - 1 for length in lengths[:-1])


@given(shares, st.integers(1, 7), st.booleans(), st.data())
def test_passes_after_the_first_give_the_same_rows(
    rows: list[int], size: int, drop: bool, data: st.DataObject
) -> None:
    for node in run_pass(rows, lambda _: size, drop, data):
        again = SimulatedNode(0, 0)
        again.share = node.share
        feed = ClosedFeed(sum(rows), len(rows), len(node.share))
        again.read_to_the_end(feed, lambda _: size, drop)
        assert again.batches == node.batches


@pytest.mark.parametrize(
    ("held_by_all", "drop", "rows"),
    [(3, True, None), (4, True, 4), (4, False, None), (5, False, 4), (500, False, 4)],
)
def test_an_open_feed_gives_a_batch_that_all_hold(
    held_by_all: int, drop: bool, rows: int | None
) -> None:
    step = PassCursor().next_while_open(held_by_all, 4, drop)
    assert (step and step.rows) == rows


def test_the_rows_that_were_yielded_count_against_what_all_hold() -> None:
    cursor = PassCursor()
    step = cursor.next_while_open(6, 4, drop_remainder=True)
    assert step is not None
    cursor.advance(step)
    assert cursor.next_while_open(7, 4, drop_remainder=True) is None
    assert cursor.next_while_open(8, 4, drop_remainder=True) is not None


def test_the_weighted_mean_over_the_nodes_is_the_mean_over_all_rows() -> None:
    values = [[1.0, 2.0, 6.0], [10.0, 30.0]]
    means = []
    for node in values:
        step = PassCursor().next_when_closed(ClosedFeed(5, 2, len(node)), 4, False)
        assert step is not None and step.rows == len(node)
        means.append(step.weight * sum(node) / len(node))
    assert sum(means) / 2 == pytest.approx(sum(itertools.chain(*values)) / 5)


@given(shares)
def test_balance_moves_the_fewest_rows_to_even_shares(rows: list[int]) -> None:
    transfers = balance(rows)

    held = list(rows)
    for transfer in transfers:
        assert transfer.rows > 0
        held[transfer.source] -= transfer.rows
        held[transfer.target] += transfer.rows
        assert held[transfer.source] >= min(rows), "rows that may have been read are given away"
    assert max(held) - min(held) <= 1
    sources = {transfer.source for transfer in transfers}
    assert not sources & {transfer.target for transfer in transfers}
    assert sum(transfer.rows for transfer in transfers) == fewest_moves(rows)


def fewest_moves(rows: list[int]) -> int:
    """The same by trying every choice of the nodes that keep an odd row."""
    base, odd = divmod(sum(rows), len(rows))
    return min(
        sum(max(0, count - base - (rank in favoured)) for rank, count in enumerate(rows))
        for favoured in itertools.combinations(range(len(rows)), odd)
    )


def test_balance_of_known_shares() -> None:
    assert balance([4, 4, 4]) == []
    assert balance([5, 4, 4]) == []
    assert balance([0, 6]) == [Transfer(source=1, target=0, rows=3)]
    assert sorted(balance([9, 0, 0]), key=lambda move: move.target) == [
        Transfer(source=0, target=1, rows=3),
        Transfer(source=0, target=2, rows=3),
    ]
