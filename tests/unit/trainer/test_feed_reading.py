"""Reading a feed on all nodes at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.feed_simulation import Simulation

from tensorsparkml.control.feeds.feed_ledger import SpoolLimit
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.errors import EmptyFeedError, MissingColumnError, SpentFeedError
from tensorsparkml.trainer.datasets.feed_reader import FeedReader

Simulate = Callable[..., Simulation]


@pytest.fixture(scope="module")
def simulate(tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """Makes a simulation in a folder of its own; scoped so that Hypothesis may use it."""

    def simulate(
        commits: list[list[int]], nodes: int, passes: int = 1, **options: Any
    ) -> Simulation:
        return Simulation(tmp_path_factory.mktemp("feed"), commits, nodes, passes, **options)

    return simulate


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    nodes = draw(st.integers(1, 3))
    rows = st.lists(st.integers(0, 6), min_size=nodes, max_size=nodes)
    return nodes, draw(st.lists(rows, max_size=5))


NOT_CACHED = SpoolLimit(bytes=16, cached=False, replayable=True)
# Not shuffled; shuffled as rows arrive; by a seed when all are there.
KEPT: list[dict[str, Any]] = [{}, {"seed": 7}, {"seed": 7, "ordered": True}]
NOT_KEPT: list[dict[str, Any]] = [{"limit": NOT_CACHED}, {"seed": 7, "limit": NOT_CACHED}]


@settings(max_examples=60)
@given(deliveries(), st.integers(1, 5), st.integers(1, 3), st.sampled_from(KEPT), st.data())
def test_data_feeds_deliver_each_row_once_a_pass(
    simulate: Simulate,
    delivery: tuple[int, list[list[int]]],
    size: int,
    passes: int,
    order: dict[str, Any],
    data: st.DataObject,
) -> None:
    nodes, commits = delivery
    simulation = simulate(commits, nodes, passes, **order)
    if simulation.total < nodes:
        simulation = simulate([*commits, [1] * nodes], nodes, passes, **order)
    feeds = simulation.feeds()
    batches: list[list[list[int]]] = [[] for _ in range(nodes)]

    # The nodes read in any order, each as far ahead of the others as it can.
    running = list(range(nodes))
    while running:
        rank = data.draw(st.sampled_from(running), "next node")
        if feeds[rank].should_stop():
            assert feeds[rank].next_batch(size) == {}
            running.remove(rank)
            continue
        batch = feeds[rank].next_batch(size)
        ids = batch["id"].tolist()
        assert len(ids) <= size
        assert batch["vector"].tolist() == [[i, -i] for i in ids]
        batches[rank].append(ids)

    [count] = {len(node) for node in batches}
    per_pass, rest = divmod(count, passes)
    assert rest == 0
    for number in range(passes):
        mine = slice(number * per_pass, (number + 1) * per_pass)
        delivered = [i for node in batches for batch in node[mine] for i in batch]
        assert sorted(delivered) == list(range(simulation.total))
    for rank, reader in enumerate(simulation.readers):
        rows = sum(map(len, batches[rank]))
        assert reader.progress == FeedProgress(passes, rows) == simulation.reports[rank][-1]
        assert reader.total == simulation.total
        assert reader.passes_offered == passes


@settings(max_examples=60)
@given(
    deliveries(),
    st.integers(1, 5),
    st.booleans(),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from(KEPT + NOT_KEPT),
)
def test_readers_give_as_many_passes_as_are_asked_for(
    simulate: Simulate,
    delivery: tuple[int, list[list[int]]],
    size: int,
    drop: bool,
    passes: int,
    at_once: int,
    order: dict[str, Any],
) -> None:
    nodes, commits = delivery
    simulation = simulate(commits, nodes, **order)
    for number in range(passes):
        # One after the other: the first one reads to the end of what it may.
        if drop and simulation.total < nodes * size:
            for reader in simulation.readers:
                with pytest.raises(EmptyFeedError, match="no batch of"):
                    list(reader.batches(size, drop, at_once))
            return
        found = [list(reader.batches(size, drop, at_once)) for reader in simulation.readers]
        assert len({sum(rows.batches for rows in runs) for runs in found}) == 1
        for rows in (rows for runs in found for rows in runs):
            assert 1 <= rows.batches <= at_once
            assert rows.batches == 1 or rows.count == rows.batches * size
        ids = [
            i
            for batches in found
            for batch in batches
            for part in batch.slices
            for i in part.batch.column("id").to_pylist()
        ]
        assert len(set(ids)) == len(ids) == sum(batch.count for b in found for batch in b)
        if drop:
            assert simulation.total - len(ids) < nodes * size
            assert {rows.count / rows.batches for runs in found for rows in runs} <= {size}
        else:
            assert sorted(ids) == list(range(simulation.total))
        assert [reader.progress.passes for reader in simulation.readers] == [number + 1] * nodes


def test_a_node_reads_before_the_feed_is_complete(simulate: Simulate) -> None:
    simulation = simulate([[5, 5], [5, 5]], nodes=2)
    [first, _] = simulation.feeds()
    assert first.next_batch(4)["id"].tolist() == [0, 1, 2, 3]
    assert not simulation.ledger.closed
    assert simulation.readers[0].total is None


def test_a_node_waits_for_the_others(simulate: Simulate) -> None:
    # The first node holds nine rows before the second one holds any.
    simulation = simulate([[9, 0], [0, 1]], nodes=2)
    feed = simulation.feeds()[0]
    assert feed.next_batch(4)["id"].tolist() == [0, 1, 2, 3]
    assert simulation.ledger.closed


def test_looking_for_the_end_reads_nothing(simulate: Simulate) -> None:
    feed = simulate([[5]], nodes=1).feeds()[0]
    assert [feed.should_stop() for _ in range(3)] == [False] * 3
    assert feed.next_batch(9)["id"].tolist() == [0, 1, 2, 3, 4]
    assert [feed.should_stop() for _ in range(3)] == [True] * 3
    assert feed.next_batch(9) == {}


def test_a_batch_never_spans_two_passes(simulate: Simulate) -> None:
    feed = simulate([[3]], nodes=1, passes=2).feeds()[0]
    sizes = []
    while not feed.should_stop():
        sizes.append(len(feed.next_batch(2)["id"]))
    assert sizes == [2, 1, 2, 1]


def test_batch_sizes_may_change(simulate: Simulate) -> None:
    feeds = simulate([[7, 0]], nodes=2).feeds()
    sizes = [[len(feed.next_batch(size)["id"]) for size in (1, 2, 9)] for feed in feeds]
    assert sizes == [[1, 2, 1], [1, 1, 1]]
    assert all(feed.should_stop() for feed in feeds)


def test_only_the_columns_that_are_named_are_read(simulate: Simulate) -> None:
    simulation = simulate([[2]], nodes=1)
    assert list(simulation.feeds(["vector"])[0].next_batch(2)) == ["vector"]
    with pytest.raises(MissingColumnError, match=r"'label'.*id, vector"):
        simulation.feeds(["label"])[0].next_batch(2)


@pytest.mark.parametrize("early", [True, False])
def test_who_wants_no_more_gets_no_more(simulate: Simulate, early: bool) -> None:
    simulation = simulate([[3], [3]], nodes=1, passes=3)
    [feed], [reader] = simulation.feeds(), simulation.readers
    if not early:
        feed.next_batch(2)
    feed.terminate()
    assert feed.should_stop()
    assert feed.next_batch(2) == {}
    assert reader.terminated
    rows = 0 if early else 2
    assert simulation.reports == [[FeedProgress(0, rows, terminated=True)]]


def test_a_feed_that_was_ended_is_not_read_again(simulate: Simulate) -> None:
    [reader] = simulate([[3]], nodes=1).readers
    begun = reader.batches(1, False)
    next(begun)
    reader.terminate()
    assert list(begun) == []
    for read in (reader.first_rows, reader.begin_pass):
        with pytest.raises(SpentFeedError, match=r"has ended feed 'train' with terminate\(\)"):
            read()


def test_a_feed_without_rows_ends_at_once(simulate: Simulate) -> None:
    for feed in simulate([], nodes=2, passes=2).feeds():
        assert feed.should_stop()
        assert feed.next_batch(3) == {}


def test_fewer_rows_than_nodes_are_an_error_where_a_row_is_needed(simulate: Simulate) -> None:
    simulation = simulate([[1, 0]], nodes=2)
    [_, feed] = simulation.feeds()
    assert not feed.should_stop()
    with pytest.raises(EmptyFeedError, match="'train' has 1 row for 2 nodes"):
        feed.next_batch(1)


def test_the_first_rows_are_not_read_off_the_feed(simulate: Simulate) -> None:
    [reader] = simulate([[3]], nodes=1).readers
    assert reader.first_rows().batch.num_rows == 3
    assert [batch.count for batch in reader.batches(2, False)] == [2, 1]


def test_passes_may_be_broken_off(simulate: Simulate) -> None:
    [reader] = simulate([[4]], nodes=1).readers
    pass_ = reader.batches(2, False)
    next(pass_)
    pass_.close()
    assert reader.progress == FeedProgress(passes=0, rows=2)
    assert len(list(reader.batches(2, False))) == 2
    assert reader.progress == FeedProgress(passes=1, rows=6)


def test_a_pass_is_reported_at_once(simulate: Simulate) -> None:
    simulation = simulate([[12]], nodes=1)
    list(simulation.readers[0].batches(2, False))
    assert simulation.reports[0][-1] == FeedProgress(1, 12)


@pytest.mark.parametrize("wait", ["for the first rows", "for the next batch", "for the end"])
def test_a_feed_that_is_ended_keeps_no_thread_waiting(wait: str) -> None:
    agent = IdleAgent()
    reader = FeedReader(agent, "train", 1)  # type: ignore[arg-type]
    found: list[Any] = []

    def read() -> None:
        if wait == "for the first rows":
            with pytest.raises(SpentFeedError):
                reader.first_rows()
            return
        cursor = reader.begin_pass()
        found.append(
            reader.next_batches(cursor, 8, False)
            if wait == "for the next batch"
            else reader.at_end(cursor)
        )

    thread = threading.Thread(target=read)
    thread.start()
    assert agent.waits.wait(60)
    reader.terminate()  # while the other thread waits
    assert agent.reports == [FeedProgress(terminated=True)]
    agent.let_go.set()
    thread.join(60)
    assert not thread.is_alive()
    assert found in ([], [None], [True])


class IdleAgent:
    """The agent of a stream that brings nothing for now."""

    def __init__(self) -> None:
        self.waits, self.let_go = threading.Event(), threading.Event()
        self.reports: list[FeedProgress] = []

    def window(self, feed: str, segments: int, held_by_all: int) -> dict[str, Any]:
        self.waits.set()
        assert self.let_go.wait(60)
        opened = {"seed": None, "ordered": False, "limited": False}
        return {
            "segments": [],
            "held_by_all": 0,
            "closed": None,
            "opened": opened,
            "keep_bytes": None,
            "instead": None,
        }

    def progress(self, feed: str, progress: FeedProgress) -> None:
        self.reports.append(progress)


def test_a_new_cursor_is_a_new_pass(simulate: Simulate) -> None:
    [reader] = simulate([[2]], nodes=1).readers
    for _ in range(2):
        cursor = reader.begin_pass()
        batch = reader.next_batches(cursor, 2, False)
        assert batch is not None and batch.weight == 1.0
        assert batch.slices[0].batch.column("id").to_pylist() == [0, 1]
        assert reader.at_end(cursor)
        assert reader.next_batches(cursor, 2, False) is None


def ids_of_passes(simulation: Simulation, passes: int) -> list[list[list[int]]]:
    """The ids that each node reads, by pass."""
    return [
        [
            [
                i
                for rows in reader.batches(8, drop_remainder=False)
                for part in rows.slices
                for i in part.batch.column("id").to_pylist()
            ]
            for reader in simulation.readers
        ]
        for _ in range(passes)
    ]


def test_a_seed_gives_the_same_orders_however_the_rows_arrive(simulate: Simulate) -> None:
    def read(seed: int, turns: list[int]) -> list[list[list[int]]]:
        simulation = simulate([[40, 42], [30, 31], [50, 47]], 2, seed=seed, ordered=True)
        simulation.turns = turns
        return ids_of_passes(simulation, 3)

    first, second, third = read(7, [0, 1, 2])
    assert read(7, [2, 0, 1]) == [first, second, third]
    assert len({str(order) for order in (first, second, third, *read(8, [0, 1, 2]))}) == 6
    for order in (first, second, third):
        assert sorted(order[0] + order[1]) == list(range(240))
        assert all(ids != sorted(ids) for ids in order)


def test_a_shuffled_feed_is_read_before_it_is_complete(simulate: Simulate) -> None:
    simulation = simulate([[200, 200], [200, 200]], nodes=2, seed=7)
    [feed, _] = simulation.feeds()
    ids = feed.next_batch(100)["id"].tolist()
    assert not simulation.ledger.closed
    assert sorted(ids) != ids
    assert set(ids) < set(range(200))


def test_rows_with_a_seed_are_read_when_all_are_there(simulate: Simulate) -> None:
    simulation = simulate([[20, 20], [20, 20]], nodes=2, seed=7, ordered=True)
    [feed, _] = simulation.feeds()
    feed.next_batch(1)
    assert simulation.ledger.closed


def test_an_error_names_a_row_of_a_shuffled_feed_as_spark_has_it(simulate: Simulate) -> None:
    [reader] = simulate([[300]], nodes=1, seed=7).readers
    for rows in reader.batches(64, drop_remainder=False):
        for part in rows.slices:
            for offset, i in enumerate(part.batch.column("id").to_pylist()):
                assert part.origin.describe(offset) == f"row {i} of partition 0"


def files(simulation: Simulation) -> int:
    return len(list(simulation.directory.rglob("*.arrow")))


def test_rows_that_are_not_kept_are_dropped_and_come_again(simulate: Simulate) -> None:
    simulation = simulate([[6]] * 5, nodes=1, limit=NOT_CACHED)
    [reader] = simulation.readers
    for number in range(3):
        ids = []
        for rows in reader.batches(4, drop_remainder=False):
            ids += [i for part in rows.slices for i in part.batch.column("id").to_pylist()]
            assert files(simulation) <= 3
        assert ids == list(range(30))
        assert simulation.deliveries == number + 1
    assert reader.progress == FeedProgress(passes=3, rows=90)


def test_a_look_at_the_beginning_costs_no_delivery(simulate: Simulate) -> None:
    limit = SpoolLimit(bytes=10**6, cached=False, replayable=True)
    simulation = simulate([[6]] * 5, nodes=1, limit=limit)
    [reader] = simulation.readers
    look = reader.batches(4, drop_remainder=False)
    next(look)
    assert sum(rows.count for rows in reader.batches(4, drop_remainder=False)) == 30
    assert simulation.deliveries == 1
    # What was begun before has ended, because its rows may be gone.
    with pytest.raises(SpentFeedError, match="pass 1 over feed 'train' has ended"):
        next(look)


def test_rows_that_cannot_come_again_are_read_once(simulate: Simulate) -> None:
    limit = SpoolLimit(bytes=16, cached=False, replayable=False)
    [reader] = simulate([[6]] * 5, nodes=1, limit=limit).readers
    assert sum(rows.count for rows in reader.batches(4, drop_remainder=False)) == 30
    with pytest.raises(SpentFeedError, match="cannot send them again"):
        next(reader.batches(4, drop_remainder=False))


def test_the_first_rows_stay_known_when_they_are_dropped(simulate: Simulate) -> None:
    [reader] = simulate([[6]] * 5, nodes=1, limit=NOT_CACHED).readers
    first = reader.first_rows()
    assert len(list(reader.batches(4, drop_remainder=False))) == 8
    assert reader.first_rows() is first
