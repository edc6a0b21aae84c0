"""Rows of the old API on a node, without processes."""

from __future__ import annotations

import pickle
import queue
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from tensorflowonspark.feeds import Incoming, pickled
from tensorflowonspark.TFNode import DataFeed
from tensorsparkml.errors import EmptyFeedError, InferenceError

SECONDS = 300.0  # which only a hang needs


class Feed:
    """Stands for the `DataFeed` of the node: batches as they are given, and then the end."""

    def __init__(self, batches: Iterable[list[Any]] = (), opened: bool = True) -> None:
        self._batches = [list(pickled(batch)) for batch in batches]
        self._opened = threading.Event()
        self.terminated = False
        if opened:
            self._opened.set()

    def open(self) -> None:
        self._opened.set()

    def should_stop(self) -> bool:
        assert self._opened.wait(SECONDS)
        return self.terminated or not self._batches

    def next_batch(self, size: int) -> dict[str, Any]:
        if self.should_stop():
            return {}
        batch = self._batches.pop(0)
        assert len(batch) <= size
        values = np.empty(len(batch), object)
        values[:] = batch
        return {"row": values}

    def terminate(self) -> None:
        self.terminated = True


class Batch(dict[str, Any]):
    """A batch of an RDD's elements, which is a mapping without keys."""

    def __init__(self, elements: list[Any]) -> None:
        self.elements = elements
        self.rows = len(elements)
        self.replies: list[list[Any]] = []

    def reply(self, results: list[Any]) -> None:
        self.replies.append(list(results))

    def describe(self) -> str:
        return "the batch that begins with row 0 of partition 0"


class Inference:
    """Stands for the `Inference` of the node."""

    def __init__(self, *batches: Batch) -> None:
        self.asked: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        for batch in batches:
            self.asked.put(batch)

    def end(self) -> None:
        self.asked.put(None)

    def next_batch(self, size: int) -> Batch | None:
        return self.asked.get(timeout=SECONDS)


class Manager:
    def __init__(self, feed: Any, inference: Any) -> None:
        self._incoming = Incoming(feed, inference)

    def incoming(self, name: str) -> Incoming:
        assert name == "input"
        return self._incoming


ROWS = [(1, [2.0, 3]), "text", None, np.float32(0.5), {"a": (1,)}, b"\x00\x00", 7]


def test_rows_keep_their_types() -> None:
    found = [pickle.loads(value) for value in pickled(ROWS)]
    assert found == ROWS
    assert [type(row) for row in found] == [type(row) for row in ROWS]


def test_rows_of_a_class_that_cannot_be_imported() -> None:
    class Local:
        value = 3

    [value] = pickled([Local()])
    assert pickle.loads(value).value == 3


def test_training_ends_with_a_smaller_batch() -> None:
    inference = Inference()
    feed = DataFeed(Manager(Feed([[1, 2], [3]]), inference))
    assert not feed.should_stop()
    assert feed.next_batch(2) == [1, 2]
    assert not feed.should_stop()
    assert feed.next_batch(2) == [3]
    assert feed.should_stop()
    assert feed.next_batch(2) == []
    inference.end()


def test_training_may_end_with_no_rows_and_have_a_smaller_batch_before_the_last() -> None:
    inference = Inference()
    feed = DataFeed(Manager(Feed([[1], [2, 3]]), inference))
    assert feed.next_batch(2) == [1]
    assert not feed.should_stop()
    assert feed.next_batch(2) == [2, 3]
    assert not feed.should_stop()  # as far as is known without waiting
    assert feed.next_batch(2) == []
    assert feed.should_stop()
    inference.end()


def test_a_node_without_any_row() -> None:
    class Empty(Feed):
        left = 1

        def should_stop(self) -> bool:
            return not self.left

        def next_batch(self, size: int) -> dict[str, Any]:
            self.left = 0
            raise EmptyFeedError("feed 'input' has 1 rows for 2 nodes")

    inference = Inference()
    feed = DataFeed(Manager(Empty(), inference))
    assert feed.next_batch(2) == []
    assert feed.should_stop()
    inference.end()


def test_neither_way() -> None:
    inference = Inference()
    inference.end()
    feed = DataFeed(Manager(Feed(), inference))
    assert feed.next_batch(2) == []
    assert feed.should_stop()


def test_input_mapping_goes_by_sorted_columns() -> None:
    inference = Inference()
    mapping = {"b_column": "x", "a_column": "y"}
    feed = DataFeed(Manager(Feed([[(1, 10), (2, 20)], [(3, 30)]]), inference), True, "input",
                    "output", mapping)  # fmt: skip
    assert feed.next_batch(2) == {"y": [1, 2], "x": [10, 20]}
    assert feed.next_batch(2) == {"y": [3], "x": [30]}
    assert feed.next_batch(2) == {"y": [], "x": []}
    inference.end()


@pytest.mark.parametrize("train_mode", [True, False])
def test_inference_has_one_result_for_each_row(train_mode: bool) -> None:
    first, second = Batch([1, 2]), Batch([3])
    inference, rows = Inference(first, second), Feed(opened=False)
    feed = DataFeed(Manager(rows, inference), train_mode)
    assert feed.next_batch(2) == [1, 2]
    feed.batch_results(np.array([10, 20]))
    assert first.replies == [[10, 20]]
    assert feed.next_batch(2) == [3]
    feed.batch_results([])
    feed.batch_results(iter([30]))
    assert second.replies == [[30]]
    inference.end()
    rows.open()
    assert feed.next_batch(2) == []
    assert feed.should_stop()
    feed.batch_results([])


def test_a_batch_that_was_asked_for_before_its_size_was_known_is_given_in_parts() -> None:
    batch = Batch([1, 2, 3])
    inference, rows = Inference(batch), Feed(opened=False)
    feed = DataFeed(Manager(rows, inference))
    assert feed.next_batch(2) == [1, 2]
    feed.batch_results("ab")
    assert feed.next_batch(2) == [3]
    feed.batch_results("c")
    assert batch.replies == [["a", "b", "c"]]
    rows.open()


def test_too_few_and_too_many_results_are_errors() -> None:
    inference, rows = Inference(Batch([1, 2])), Feed(opened=False)
    feed = DataFeed(Manager(rows, inference))
    feed.next_batch(2)
    feed.batch_results([1])
    with pytest.raises(InferenceError, match=r"got 1 results for the batch .* has 2 rows"):
        feed.next_batch(2)
    with pytest.raises(InferenceError, match="got 4 results for 2 rows"):
        feed.batch_results([1, 2, 3])
    rows.open()


def test_after_a_training_that_was_terminated_comes_an_inference() -> None:
    inference, rows = Inference(), Feed([[1], [2]])
    manager = Manager(rows, inference)
    feed = DataFeed(manager)
    assert feed.next_batch(1) == [1]
    feed.terminate()
    assert feed.should_stop() and rows.terminated
    assert feed.next_batch(1) == []
    inference.asked.put(Batch([5]))
    again = DataFeed(manager, False)
    assert again.next_batch(3) == [5]
    again.batch_results([6])


def test_an_error_of_the_feed_is_the_programs() -> None:
    class Broken(Feed):
        def should_stop(self) -> bool:
            raise OSError("the agent is gone")

    inference = Inference()
    with pytest.raises(OSError, match="the agent is gone"):
        DataFeed(Manager(Broken(), inference)).next_batch(1)
    inference.end()
