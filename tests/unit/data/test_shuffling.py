"""Orders that follow from a seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.spool.shuffle import shuffled, window_order, window_seed

SEEDS = st.integers(0, 2**64)


@given(st.lists(st.integers(), max_size=30), SEEDS, st.integers(0, 100))
def test_nothing_is_lost(items: list[int], seed: int, epoch: int) -> None:
    assert sorted(shuffled(items, seed, epoch)) == sorted(items)
    assert shuffled(items, seed, epoch) == shuffled(items, seed, epoch)


@given(st.integers(0, 50), SEEDS, st.integers(0, 100), st.integers(0, 9), st.integers(0, 9))
def test_an_order_is_a_permutation(
    rows: int, seed: int, epoch: int, rank: int, window: int
) -> None:
    order = window_order(rows, seed, epoch, rank, window)
    assert sorted(order.tolist()) == list(range(rows))
    assert order.tolist() == window_order(rows, seed, epoch, rank, window).tolist()


def test_the_order_depends_on_everything() -> None:
    variants = [(7, 0, 0, 0), (8, 0, 0, 0), (7, 1, 0, 0), (7, 0, 1, 0), (7, 0, 0, 1)]
    assert len({tuple(window_order(100, *variant)) for variant in variants}) == len(variants)
    assert shuffled(range(100), 7, 0) != shuffled(range(100), 7, 1)
    assert len({window_seed(7, 0, 0), window_seed(7, 1, 0), window_seed(7, 0, 1)}) == 3


def test_the_orders_stay_as_they_are() -> None:
    # Whoever trains again with the same seed gets the same order, in later releases too.
    assert shuffled(range(8), 1, 0) == [4, 2, 0, 3, 6, 5, 1, 7]
    assert window_order(8, 1, 0, 0, 0).tolist() == [7, 1, 3, 4, 5, 6, 0, 2]


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        shuffled([1, 2], -1, 0)
