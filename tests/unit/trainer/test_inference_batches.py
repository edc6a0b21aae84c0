"""Spark tasks, an agent's two servers and a program, in one process over real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.example_keys import AGENT, FEEDERS, KEYS, NODES

from tensorsparkml.control.protocol.keys import Credentials, of_node
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import RpcServer, tcp_location, unix_location
from tensorsparkml.data.inference.wire import ELEMENTS, Request
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import SpoolServer
from tensorsparkml.errors import DataError, InferenceError, MissingColumnError
from tensorsparkml.executor.inference.partition_queue import InferenceDesk
from tensorsparkml.executor.inference.relay import InferenceRelay
from tensorsparkml.executor.inference.spark_task import choose, infer, infer_elements
from tensorsparkml.trainer.agent_client import AgentClient
from tensorsparkml.trainer.inference.batches import Inference, InferenceBatch

SECONDS = 300.0
RESULTS = pa.schema([("y", pa.float32())])


class Node:
    """An agent's servers, and a program that runs in a thread."""

    def __init__(self, folder: Path) -> None:
        self.desk = InferenceDesk()
        relay = InferenceRelay(self.desk)
        local = unix_location(str(folder / "agent"))
        spool = Spool(folder / "spool")
        self.servers = [
            SpoolServer(tcp_location("127.0.0.1"), AGENT, spool, exchange=relay.serve_task),
            RpcServer(local, KEYS.guard(of_node(0)), {"take": relay.take}, relay.serve_program),
        ]
        self.peer = Peer(0, "chief", 0, "127.0.0.1", self.servers[0].port, 0, "/elsewhere")
        self.agent = AgentClient(local, NODES[0])
        self.error: Exception | None = None
        self.program: threading.Thread | None = None

    def inference(self, batch_size: int = 4, columns: list[str] | None = None) -> Inference:
        return Inference(self.agent, "inference", batch_size, columns, {})

    def run(self, main: Callable[[Inference], None], **settings: Any) -> None:
        inference = self.inference(**settings)

        def run() -> None:
            try:
                main(inference)
            except Exception as error:
                self.error = error
                self.desk.close(f"main raised {error}")

        self.program = threading.Thread(target=run, daemon=True)
        self.program.start()

    def end(self) -> None:
        self.desk.end("the block was left")
        if self.program is not None:
            self.program.join(SECONDS)
            assert not self.program.is_alive()

    def ask(self, partition: int, *batches: pa.RecordBatch, **wanted: Any) -> Iterator[Any]:
        request = Request("inference", partition, wanted.pop("schema", RESULTS), **wanted)
        return infer(FEEDERS, [self.peer], request, iter(batches))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.end()
    node.desk.close("the test has ended")
    for server in node.servers:
        server.shutdown()


def rows(start: int, count: int) -> pa.RecordBatch:
    numbers = pa.array(range(start, start + count), pa.int64())
    return pa.record_batch({"id": numbers, "x": numbers.cast(pa.float32())})


def column(batches: Iterator[Any], name: str = "y") -> list[Any]:
    return [value for batch in batches for value in batch.column(name).to_pylist()]


def double(inference: Inference) -> None:
    for batch in inference:
        batch.reply({"y": batch["x"] * 2})


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return, all of which run at the same time."""
    found: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        found[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    return found


def test_a_column_that_a_batch_does_not_have_is_told_with_the_way_to_it(node: Node) -> None:
    messages: list[str] = []

    def main(inference: Inference) -> None:
        for batch in inference:
            assert ("id" in batch, "x" in batch, batch.get("id")) == (False, True, None)
            for name in ("id", "z"):
                with pytest.raises(MissingColumnError) as caught:
                    batch[name]
                messages.append(caught.value.message)
            batch.reply({"y": batch["x"]})

    node.run(main)
    assert column(node.ask(0, rows(0, 2), keep=("id",))) == [0.0, 1.0]
    assert "columns=['x', 'id']" in messages[0]
    assert messages[1] == "there is no column 'z' in the batch; the batch has x"


def test_results_come_in_the_order_of_the_rows(node: Node) -> None:
    node.run(double)
    batches = [rows(0, 10), rows(10, 0), rows(10, 7)]
    assert column(node.ask(0, *batches)) == [2.0 * number for number in range(17)]


def test_a_partition_without_rows_asks_nobody(node: Node) -> None:
    assert list(node.ask(0, rows(0, 0))) == []


def test_many_partitions_at_the_same_time(node: Node) -> None:
    node.run(double)
    calls = [
        lambda start=100 * partition: column(node.ask(start, rows(start, 5), rows(start + 5, 6)))
        for partition in range(12)
    ]
    found = in_threads(*calls)
    for partition, values in enumerate(found):
        assert values == [2.0 * (100 * partition + number) for number in range(11)]


def test_a_batch_is_of_one_partition(node: Node) -> None:
    seen = []

    def main(inference: Inference) -> None:
        for batch in inference:
            seen.append((batch.partition, batch["id"].tolist()))
            assert batch.rows == len(batch["id"])
            assert list(batch) == ["id", "x"] and len(batch) == 2
            batch.reply({"y": batch["x"]})

    node.run(main)
    for partition in range(2):
        column(node.ask(partition, rows(0, 3), rows(3, 3)))
    assert seen == [(0, [0, 1, 2, 3]), (0, [4, 5]), (1, [0, 1, 2, 3]), (1, [4, 5])]


def test_far_more_rows_than_are_held_anywhere(node: Node) -> None:
    node.run(double, batch_size=1000)
    batches = (rows(start, 5000) for start in range(0, 400_000, 5000))
    found = [value for batch in node.ask(0, *batches) for value in batch.column("y").to_numpy()]
    assert np.array_equal(found, 2 * np.arange(400_000, dtype=np.float32))


def test_other_numbers_of_rows(node: Node) -> None:
    def main(inference: Inference) -> None:
        for batch in inference:
            odd = batch["id"] % 2 == 1
            batch.reply({"id": np.repeat(batch["id"][odd], 3)})

    node.run(main)
    schema = pa.schema([("id", pa.int64())])
    assert (
        column(node.ask(0, rows(0, 9), schema=schema), "id")
        == [1, 1, 1, 3, 3, 3, 5, 5, 5] + [7] * 3
    )


def test_no_results_at_all(node: Node) -> None:
    def main(inference: Inference) -> None:
        for batch in inference:
            batch.reply({"y": []})

    node.run(main)
    assert column(node.ask(0, rows(0, 9))) == []
    assert column(node.ask(1, rows(0, 4))) == []


def test_kept_columns_stand_beside_the_results(node: Node) -> None:
    def main(inference: Inference) -> None:
        for batch in inference:
            assert list(batch) == ["x"]
            batch.reply({"y": batch["x"] + 1})

    node.run(main)
    [first, second] = node.ask(0, rows(0, 3), rows(3, 3), keep=("id",))
    assert first.schema.names == ["id", "y"]
    assert first.column("id").to_pylist() == [0, 1, 2, 3]
    assert second.to_pylist() == [{"id": 4, "y": 5.0}, {"id": 5, "y": 6.0}]


def test_kept_columns_need_one_result_for_each_row(node: Node) -> None:
    node.run(lambda inference: next(iter(inference)).reply({"y": [1.0]}))
    with pytest.raises(InferenceError):
        column(node.ask(3, rows(0, 4), keep=("id",)))
    assert isinstance(node.error, DataError)
    assert "1 rows for 4 of the batch that begins with row 0 of partition 3" in str(node.error)


def test_elements_of_an_rdd_keep_their_types(node: Node) -> None:
    def main(inference: Inference) -> None:
        for batch in inference:
            batch.reply([(batch.rows, element) for element in batch.elements])

    node.run(main)
    elements = [[1, "a"], (2.5, None), {"x": np.float32(3)}, b"raw", range(3)]
    request = Request("inference", 0, ELEMENTS, elements=True)
    found = list(infer_elements(FEEDERS, [node.peer], request, elements))
    assert found == [(4, element) for element in elements[:4]] + [(1, range(3))]
    assert type(found[2][1]["x"]) is np.float32


def test_a_list_is_replied_to_elements(node: Node) -> None:
    node.run(lambda inference: next(iter(inference)).reply({"y": [1.0]}))
    request = Request("inference", 0, ELEMENTS, elements=True)
    with pytest.raises(InferenceError):
        list(infer_elements(FEEDERS, [node.peer], request, [1]))
    assert "must be a list" in str(node.error)


def test_a_task_that_ends_in_the_middle_is_dropped(node: Node) -> None:
    replied = threading.Event()
    seen = []

    def main(inference: Inference) -> None:
        for batch in inference:
            seen.append(batch.partition)
            if len(seen) == 2:  # the first reply has reached the task, which then ends
                assert replied.wait(SECONDS)
            batch.reply({"y": batch["x"]})

    node.run(main)
    task = node.ask(0, *(rows(start, 1000) for start in range(0, 100_000, 1000)))
    next(task)
    task.close()
    replied.set()
    assert column(node.ask(1, rows(0, 5))) == [0, 1, 2, 3, 4]
    assert seen.count(0) < 100_000 / 4  # what had arrived before it was gone
    assert seen[-2:] == [1, 1]


def test_rows_that_cannot_be_computed_are_the_tasks_own_error(node: Node) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield rows(0, 4)
        raise OSError("the disk was away")

    node.run(double)
    request = Request("inference", 0, RESULTS)
    with pytest.raises(OSError, match="the disk was away"):
        column(infer(FEEDERS, [node.peer], request, broken()))
    assert column(node.ask(1, rows(0, 2))) == [0, 2]


def test_a_program_that_raises_fails_those_who_wait(node: Node) -> None:
    both_wait = threading.Barrier(3)

    def main(inference: Inference) -> None:
        inference.next_batch(4)
        both_wait.wait(SECONDS)
        raise ValueError("the third weight is odd")

    def ask(partition: int) -> str:
        def batches() -> Iterator[pa.RecordBatch]:
            yield rows(0, 4)
            both_wait.wait(SECONDS)

        with pytest.raises(InferenceError) as caught:
            column(infer(FEEDERS, [node.peer], Request("inference", partition, RESULTS), batches()))
        return caught.value.message

    node.run(main)
    for partition, message in enumerate(in_threads(lambda: ask(0), lambda: ask(1))):
        assert message.startswith(f"chief:0 gives no results for partition {partition}: main")
        assert "the third weight is odd" in message


def test_a_task_that_comes_too_late_is_refused(node: Node) -> None:
    node.run(double)
    node.end()
    with pytest.raises(InferenceError, match="the block was left"):
        column(node.ask(0, rows(0, 4)))


def test_the_end_lets_a_partition_finish(node: Node) -> None:
    node.run(double)

    def batches() -> Iterator[pa.RecordBatch]:
        yield rows(0, 4)
        assert begun.wait(SECONDS)
        yield rows(4, 4)

    begun = threading.Event()
    results = infer(FEEDERS, [node.peer], Request("inference", 0, RESULTS), batches())
    assert next(results).num_rows == 4
    node.desk.end("the block was left")
    begun.set()
    assert column(results) == [8, 10, 12, 14]


def test_nobody_listens(node: Node) -> None:
    stranger = Peer(1, "worker", 0, "127.0.0.1", 1, 0, "/elsewhere")
    with pytest.raises(InferenceError, match=r"worker:0 .* inside the with block"):
        column(infer(FEEDERS, [stranger], Request("inference", 0, RESULTS), iter([rows(0, 1)])))


def test_another_cluster_listens(node: Node) -> None:
    with pytest.raises(InferenceError, match="does not carry the cluster's token"):
        column(
            infer(
                Credentials("other"),
                [node.peer],
                Request("inference", 0, RESULTS),
                iter([rows(0, 1)]),
            )
        )


def test_a_batch_without_reply(node: Node) -> None:
    def main(inference: Inference) -> None:
        inference.next_batch(3)
        inference.next_batch(3)

    node.run(main)
    with pytest.raises(InferenceError):
        column(node.ask(5, rows(0, 9)))
    assert "row 0 of partition 5 has no reply" in str(node.error)


def test_two_replies(node: Node) -> None:
    def main(inference: Inference) -> None:
        batch = inference.next_batch(3)
        assert isinstance(batch, InferenceBatch)
        for _ in range(2):
            batch.reply({"y": batch["x"]})

    node.run(main)
    with pytest.raises(InferenceError):
        column(node.ask(5, rows(0, 9)))
    assert "already has a reply" in str(node.error)


def test_a_column_that_is_not_there(node: Node) -> None:
    node.run(double, columns=["image"])
    with pytest.raises(InferenceError):
        column(node.ask(0, rows(0, 9)))
    assert isinstance(node.error, MissingColumnError)


def test_elements_of_a_dataframe(node: Node) -> None:
    node.run(lambda inference: next(iter(inference)).elements)
    with pytest.raises(InferenceError):
        column(node.ask(0, rows(0, 1)))
    assert "come from a DataFrame" in str(node.error)


def test_a_node_on_the_same_host_comes_first(tmp_path: Path) -> None:
    def peer(rank: int, spool: str) -> Peer:
        return Peer(rank, "worker", rank, "10.0.0.1", 1, 1, spool)

    far = [peer(rank, "/elsewhere") for rank in range(3)]
    assert [choose(far, partition).rank for partition in range(4)] == [0, 1, 2, 0]
    near = [far[0], peer(1, str(tmp_path)), peer(2, str(tmp_path))]
    assert [choose(near, partition).rank for partition in range(4)] == [1, 2, 1, 2]
