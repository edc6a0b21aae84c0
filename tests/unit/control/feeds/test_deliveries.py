"""Which delivery of a feed the nodes read in a pass."""

from __future__ import annotations

from tensorsparkml.control.feeds.deliveries import Deliveries, delivery_name


def test_nodes_that_have_everything_read_it_again() -> None:
    deliveries = Deliveries(replayable=True)
    for number in (1, 2):
        deliveries.ask(0, number, whole=True)
        assert deliveries.decide([0, 1]) is None
        deliveries.ask(1, number, whole=True)
        assert deliveries.decide([0, 1]) == (number, 0)
        assert deliveries.decide([0, 1]) is None
    assert deliveries.current == 0


def test_one_node_without_all_its_rows_takes_another_delivery_for_all() -> None:
    deliveries = Deliveries(replayable=True)
    deliveries.ask(1, 1, whole=False)
    deliveries.ask(0, 1, whole=True)
    assert deliveries.decide([0, 1]) == (1, 1)
    assert deliveries.current == 1


def test_rows_that_cannot_come_again_are_none() -> None:
    deliveries = Deliveries(replayable=False)
    deliveries.ask(0, 1, whole=True)
    assert deliveries.decide([0]) == (1, 0)
    deliveries.ask(0, 2, whole=False)
    assert deliveries.decide([0]) == (2, None)
    assert deliveries.current == 0


def test_nodes_that_have_ended_are_not_waited_for() -> None:
    deliveries = Deliveries(replayable=True)
    assert deliveries.decide([]) is None  # nobody has asked
    deliveries.ask(1, 1, whole=False)
    assert deliveries.decide([1]) == (1, 1)


def test_the_first_delivery_has_the_name_of_the_feed() -> None:
    assert [delivery_name("train", number) for number in (0, 1)] == ["train", "train@1"]
