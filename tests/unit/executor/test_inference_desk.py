"""Partitions that wait for the program, and the lanes of those under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from tensorsparkml.data.inference.wire import COMPLETE, Request, Signal
from tensorsparkml.executor.inference.partition_queue import Exchange, InferenceDesk, Lane

SCHEMA = pa.schema([("y", pa.float32())])
ROWS = pa.schema([("x", pa.float32())])
SECONDS = 300.0


def request(partition: int = 0, feed: str = "inference") -> Request:
    return Request(feed, partition, SCHEMA)


def in_thread(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_a_lane_keeps_the_order_and_then_ends() -> None:
    lane: Lane[int] = Lane(3)
    for number in (1, 2, 3):
        lane.put(number)
    lane.end()
    assert [lane.get() for _ in range(5)] == [1, 2, 3, COMPLETE, COMPLETE]
    assert lane.wait_ended() == COMPLETE


def test_a_full_lane_holds_up_who_puts() -> None:
    lane: Lane[int] = Lane(1)
    lane.put(1)
    thread = in_thread(lambda: lane.put(2))
    assert lane.get() == 1
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert lane.get() == 2
    assert lane.get(0.0) is None


def test_a_lane_that_fails_drops_what_it_holds_and_lets_go_who_waits() -> None:
    lane: Lane[int] = Lane(1)
    lane.put(1)
    thread = in_thread(lambda: lane.put(2))
    lane.fail("gone")
    thread.join(SECONDS)
    assert not thread.is_alive()
    lane.put(3)
    assert lane.get() == Signal("gone")


def test_what_is_complete_does_not_fail_afterwards() -> None:
    lane: Lane[int] = Lane(1)
    lane.put(1)
    lane.end()
    lane.fail("gone")
    assert [lane.get(), lane.get()] == [1, COMPLETE]


def test_partitions_are_taken_in_the_order_in_which_they_came() -> None:
    desk = InferenceDesk()
    first, second = desk.open(request(7), ROWS), desk.open(request(3), ROWS)
    assert desk.take("inference", [], 0.0)[0] is first
    assert desk.take("inference", [], 0.0)[0] is second
    assert desk.take("inference", [], 0.0)[0] is None
    assert desk.find(second.number) is second
    assert not desk.ended


def test_a_feed_has_its_own_queue() -> None:
    desk = InferenceDesk()
    desk.open(request(feed="a"), ROWS)
    other = desk.open(request(feed="b"), ROWS)
    assert desk.take("b", [], 0.0)[0] is other
    assert desk.take("b", [], 0.0)[0] is None


def test_the_program_waits_for_a_partition() -> None:
    desk, taken = InferenceDesk(), []
    thread = in_thread(lambda: taken.append(desk.take("inference", [], SECONDS)[0]))
    exchange = desk.open(request(), ROWS)
    thread.join(SECONDS)
    assert taken == [exchange]


def test_few_partitions_are_under_way() -> None:
    desk = InferenceDesk()
    exchanges = [desk.open(request(partition), ROWS) for partition in range(5)]
    taken = [desk.take("inference", [], 0.0)[0] for _ in range(5)]
    assert taken == [*exchanges[:4], None]
    desk.leave(exchanges[2])
    assert desk.take("inference", [], 0.0)[0] is exchanges[4]


def test_a_task_that_leaves_while_it_waits_is_not_taken() -> None:
    desk = InferenceDesk()
    gone, next_one = desk.open(request(0), ROWS), desk.open(request(1), ROWS)
    desk.leave(gone)
    assert desk.take("inference", [], 0.0)[0] is next_one
    assert desk.find(gone.number) is None


def test_a_task_that_leaves_in_the_middle_is_known_to_the_program() -> None:
    desk = InferenceDesk()
    exchange = desk.open(request(), ROWS)
    assert desk.take("inference", [], 0.0)[0] is exchange
    other = desk.open(request(1), ROWS)
    assert desk.take("inference", [exchange.number], 0.0) == (other, [])
    desk.leave(exchange)
    held = [exchange.number, other.number]
    assert desk.take("inference", held, SECONDS) == (None, [exchange.number])
    assert exchange.rows.get() == Signal("the Spark task has ended")
    assert exchange.results.wait_ended().failed


def test_the_end_refuses_who_waits_and_lets_the_others_finish() -> None:
    desk = InferenceDesk()
    under_way, waiting = desk.open(request(0), ROWS), desk.open(request(1), ROWS)
    desk.take("inference", [], 0.0)[0]
    desk.end("left the block")
    assert desk.ended
    assert desk.take("inference", [], SECONDS)[0] is None
    assert waiting.results.get() == Signal("left the block")
    assert not under_way.results.ended
    assert desk.open(request(2), ROWS).results.get() == Signal("left the block")
    assert desk.wait_closed(0.0) is None


def test_the_close_fails_all() -> None:
    desk = InferenceDesk()
    under_way, waiting = desk.open(request(0), ROWS), desk.open(request(1), ROWS)
    desk.take("inference", [], 0.0)[0]
    desk.close("main has returned")
    late = desk.open(request(2), ROWS)
    exchanges: list[Exchange] = [under_way, waiting, late]
    assert [each.results.get() for each in exchanges] == [Signal("main has returned")] * 3
    assert desk.wait_closed(0.0) == "main has returned"


def test_a_partition_that_is_complete_does_not_fail_with_the_rest() -> None:
    desk = InferenceDesk()
    exchange = desk.open(request(), ROWS)
    desk.take("inference", [], 0.0)[0]
    exchange.results.end()
    desk.close("main has returned")
    assert exchange.results.get() == COMPLETE


@pytest.mark.parametrize("elements", [False, True])
def test_a_request_travels_as_json(elements: bool) -> None:
    schema = pa.schema([pa.field("id", pa.int64(), False), ("y", pa.list_(pa.float32()))])
    sent = Request("inference", 3, schema, ("id",), elements)
    assert Request.decode(sent.encode()) == sent
