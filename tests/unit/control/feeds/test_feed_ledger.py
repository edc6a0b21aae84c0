"""The account of a feed: what is accepted, released, moved, and when it is complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.example_commits import commit_of

from tensorsparkml.control.feeds.feed_ledger import Addressed, FeedLedger, SpoolLimit
from tensorsparkml.control.protocol.directives import (
    BeginPass,
    Close,
    Drop,
    Give,
    Open,
    Publish,
    ReadFiles,
    Release,
)
from tensorsparkml.control.protocol.feeds import FeedProgress


def of_kind(addressed: Addressed, kind: type) -> Addressed:
    return [(rank, directive) for rank, directive in addressed if isinstance(directive, kind)]


def commit(ledger: FeedLedger, key: str, segment: str, rows: list[int]) -> Addressed:
    return ledger.commit(commit_of(ledger.name, key, segment, tuple(rows), (8,) * len(rows)))


def test_a_commit_publishes_to_the_nodes_that_got_rows() -> None:
    ledger = FeedLedger("train", 3)
    assert commit(ledger, "0", "0-7", [4, 0, 2]) == [
        (0, Publish("train", "0-7", 4)),
        (2, Publish("train", "0-7", 2)),
    ]
    assert (ledger.rows, ledger.total) == ([4, 0, 2], 6)


def test_rows_are_released_once_every_node_holds_them() -> None:
    ledger = FeedLedger("train", 2)
    assert commit(ledger, "0", "a", [4, 0]) == [(0, Publish("train", "a", 4))]
    assert commit(ledger, "1", "b", [0, 3]) == [
        (1, Publish("train", "b", 3)),
        (0, Release("train", 3)),
        (1, Release("train", 3)),
    ]
    # The smallest share has not grown.
    assert commit(ledger, "2", "c", [5, 0]) == [(0, Publish("train", "c", 5))]


def test_a_key_counts_once_whatever_the_segment() -> None:
    ledger = FeedLedger("train", 2)
    commit(ledger, "0", "first attempt", [4, 4])
    assert commit(ledger, "0", "second attempt", [4, 4]) == []
    assert ledger.rows == [4, 4]


def test_the_key_of_an_empty_partition_counts_too() -> None:
    ledger = FeedLedger("train", 1)
    assert commit(ledger, "0", "a", [0]) == []
    assert commit(ledger, "0", "b", [3]) == []


def test_closing_an_even_feed_completes_it_at_once() -> None:
    ledger = FeedLedger("train", 2, passes=5)
    commit(ledger, "0", "a", [3, 2])
    assert ledger.close() == [(0, Close("train", 5, 3, 5)), (1, Close("train", 5, 2, 5))]
    assert ledger.closed


def test_closing_a_feed_without_rows_completes_it() -> None:
    ledger = FeedLedger("train", 2)
    assert ledger.close() == [(0, Close("train", 0, 0, 1)), (1, Close("train", 0, 0, 1))]


def test_an_uneven_feed_is_complete_when_the_last_transfer_has_arrived() -> None:
    ledger = FeedLedger("train", 3)
    commit(ledger, "0", "a", [9, 0, 0])

    gives = ledger.close()
    assert [rank for rank, _ in gives] == [0, 0]
    assert not ledger.closed
    first, second = (directive for _, directive in gives)
    assert isinstance(first, Give) and isinstance(second, Give)
    assert first.segment != second.segment
    assert sorted([(first.start, first.rows), (second.start, second.rows)]) == [(3, 3), (6, 3)]

    # The one that arrives first changes nothing: what nodes hold does not follow from that.
    assert ledger.given(second.segment) == []
    assert not ledger.closed
    assert ledger.given(first.segment) == [
        (first.target, Publish("train", first.segment, 3)),
        (second.target, Publish("train", second.segment, 3)),
        *((rank, Close("train", 9, 3, 1)) for rank in range(3)),
    ]
    assert ledger.closed


def test_a_transfer_arrives_once() -> None:
    ledger = FeedLedger("train", 2)
    commit(ledger, "0", "a", [4, 0])
    [(_, give)] = ledger.close()
    assert isinstance(give, Give)
    assert ledger.given("another") == []
    assert ledger.given(give.segment) != []
    assert ledger.given(give.segment) == []


@pytest.mark.parametrize("rows", [[4, 0], [2, 2]])
def test_nothing_is_accepted_after_close(rows: list[int]) -> None:
    ledger = FeedLedger("train", 2)
    commit(ledger, "0", "a", rows)
    ledger.close()
    held = list(ledger.rows)
    assert commit(ledger, "1", "b", [1, 1]) == []
    assert ledger.close() == []
    assert ledger.rows == held


def test_a_node_is_done_after_its_passes_or_when_it_wants_no_more() -> None:
    ledger = FeedLedger("train", 3)
    ledger.consumed(0, FeedProgress(passes=2, rows=8))
    ledger.consumed(1, FeedProgress(passes=1, rows=4))
    ledger.consumed(2, FeedProgress(passes=0, rows=1, terminated=True))
    assert [ledger.node_done(rank, 2) for rank in range(3)] == [True, False, True]
    assert [ledger.node_done(rank, 1) for rank in range(3)] == [True, True, True]
    assert [ledger.node_done(rank, 3) for rank in range(3)] == [False, False, True]


def test_the_progress_of_one_node_is_not_that_of_another() -> None:
    ledger = FeedLedger("train", 2)
    ledger.consumed(1, FeedProgress(passes=1))
    assert ledger.progress == [FeedProgress(), FeedProgress(passes=1)]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, list[tuple[str, list[int]]]]:
    """A number of nodes, and commits for them of which some repeat a key."""
    nodes = draw(st.integers(1, 5))
    rows = st.lists(st.integers(0, 9), min_size=nodes, max_size=nodes)
    return nodes, draw(st.lists(st.tuples(st.sampled_from("abcdefgh"), rows), max_size=10))


@given(deliveries(), st.data())
def test_what_nodes_hold_is_what_the_directives_say(
    delivery: tuple[int, list[tuple[str, list[int]]]], data: st.DataObject
) -> None:
    nodes, commits = delivery
    ledger = FeedLedger("train", nodes)
    held, released, keys = [0] * nodes, 0, set()

    for number, (key, rows) in enumerate(commits):
        addressed = commit(ledger, key, f"segment-{number}", rows)
        if key in keys:
            assert addressed == []
        keys.add(key)
        for rank, directive in of_kind(addressed, Publish):
            assert isinstance(directive, Publish)
            held[rank] += directive.rows
        releases = of_kind(addressed, Release)
        if releases:
            assert min(held) > released
            released = min(held)
            assert releases == [(rank, Release("train", released)) for rank in range(nodes)]
        assert released == min(held)

    total = sum(held)
    addressed = ledger.close()
    gives = {give.segment: (source, give) for source, give in addressed if isinstance(give, Give)}
    for segment in data.draw(st.permutations(sorted(gives)), "arrivals"):
        assert not ledger.closed and not of_kind(addressed, Publish)
        addressed = ledger.given(segment)
    published = [directive for _, directive in of_kind(addressed, Publish)]
    assert [directive.segment for directive in published] == list(gives)  # type: ignore[union-attr]
    for source, give in gives.values():
        held[source] -= give.rows
        held[give.target] += give.rows

    closes = of_kind(addressed, Close)
    assert closes == [(rank, Close("train", total, held[rank], 1)) for rank in range(nodes)]
    assert ledger.rows == held
    assert ledger.closed


def test_files_take_the_place_of_rows() -> None:
    ledger = FeedLedger("train", 2, passes=3)
    assert ledger.read_files(("s3://a", "s3://b")) == [
        (rank, ReadFiles("train", ("s3://a", "s3://b"), 3)) for rank in range(2)
    ]
    assert commit(ledger, "0", "a", [4, 4]) == []
    assert ledger.close() == []
    ledger.shared(0, 7)
    ledger.shared(1, 6)
    assert (ledger.rows, ledger.total) == ([7, 6], 13)


def test_the_nodes_are_told_how_to_read_a_feed() -> None:
    ledger = FeedLedger("train", 2, seed=7, ordered=True)
    assert ledger.open() == [(rank, Open("train", 7, True, limited=False)) for rank in range(2)]


def test_an_ordered_feed_is_published_by_partition_when_it_is_complete() -> None:
    ledger = FeedLedger("train", 2, seed=7, ordered=True)
    for key, rows in [("10.0", [1, 1]), ("2.1", [2, 1]), ("2.0", [3, 1])]:
        assert commit(ledger, key, f"segment {key}", rows) == []
    assert ledger.rows == [6, 3]
    addressed = ledger.close()
    own = [d.segment for rank, d in of_kind(addressed, Publish) if rank == 0]
    assert own == ["segment 2.0", "segment 2.1", "segment 10.0"]
    # The order of directives is that in which a node carries them out.
    assert addressed[-1] == (0, Give("train", "given-0", 1, start=5, rows=1))
    assert not ledger.closed
    ledger.given("given-0")
    assert ledger.closed


def limited(bytes: int = 100, cached: bool = False, replayable: bool = True) -> SpoolLimit:
    return SpoolLimit(bytes, cached, replayable)


def fill(ledger: FeedLedger, key: str, rows: list[int], size: list[int]) -> Addressed:
    return ledger.commit(commit_of(ledger.name, key, key, tuple(rows), tuple(size)))


def test_a_feed_that_is_not_cached_is_dropped_from_the_beginning() -> None:
    ledger = FeedLedger("train", 2, limit=limited())
    assert ledger.open() == [
        *((rank, Open("train", None, False, limited=True)) for rank in range(2)),
        *((rank, Drop("train", 50)) for rank in range(2)),
    ]


def test_a_cached_feed_is_dropped_from_when_it_is_too_large() -> None:
    ledger = FeedLedger("train", 2, limit=limited(100, cached=True))
    assert of_kind(ledger.open(), Drop) == []
    assert of_kind(fill(ledger, "0", [5, 5], [60, 60]), Drop) == []
    assert of_kind(fill(ledger, "1", [5, 5], [60, 30]), Drop) == [
        (rank, Drop("train", 50)) for rank in range(2)
    ]
    assert of_kind(fill(ledger, "2", [5, 5], [60, 30]), Drop) == []


def test_feeders_wait_for_room_on_every_node() -> None:
    ledger = FeedLedger("train", 2, limit=limited(100))
    assert ledger.admits
    fill(ledger, "0", [10, 10], [90, 110])
    assert not ledger.admits
    ledger.dropped(0, 10)
    assert not ledger.admits
    ledger.dropped(1, 1)  # of ten rows with 110 bytes
    assert ledger.admits


def test_a_node_that_waits_for_rows_gets_some_whatever_the_others_hold() -> None:
    ledger = FeedLedger("train", 2, limit=limited(10))
    fill(ledger, "0", [3, 3], [90, 90])
    ledger.starving(1, segments=0)  # it has not heard of the segment yet
    assert not ledger.admits
    ledger.starving(1, segments=1)
    assert ledger.admits
    fill(ledger, "1", [3, 3], [90, 90])
    assert not ledger.admits


def test_a_node_that_may_read_on_does_not_count_as_waiting() -> None:
    ledger = FeedLedger("train", 2, limit=limited(10))
    fill(ledger, "0", [3, 0], [90, 0])
    ledger.starving(0, segments=1)
    ledger.starving(1, segments=0)
    assert ledger.admits
    # The first node gets nothing, but may now read what it has.
    assert of_kind(fill(ledger, "1", [0, 3], [0, 90]), Release)
    assert not ledger.admits
    ledger.starving(0, segments=1)
    assert ledger.admits


def test_a_feed_without_a_limit_admits_everybody() -> None:
    ledger = FeedLedger("train", 1)
    fill(ledger, "0", [3], [10**15])
    assert ledger.admits and not ledger.limited and not ledger.overflows


def test_rows_in_a_seeds_order_must_fit() -> None:
    ledger = FeedLedger("train", 1, seed=7, ordered=True, limit=limited(100, cached=True))
    fill(ledger, "0", [3], [99])
    assert not ledger.overflows
    fill(ledger, "1", [3], [1])
    assert ledger.overflows


def test_rows_in_a_seeds_order_must_fit_once_they_are_evened_out() -> None:
    ledger = FeedLedger("train", 2, seed=7, ordered=True, limit=limited(100, cached=True))
    fill(ledger, "0", [3, 0], [120, 0])
    fill(ledger, "1", [0, 3], [0, 70])
    assert not ledger.overflows
    fill(ledger, "2", [0, 3], [0, 10])
    assert ledger.overflows


def test_a_pass_for_which_rows_are_gone_supersedes_the_delivery() -> None:
    ledger = FeedLedger("train", 2, passes=3, limit=limited())
    ledger.ask(0, 1, whole=True)
    assert ledger.decide([0, 1]) == []
    ledger.ask(1, 1, whole=False)
    assert ledger.decide([0, 1]) == [(rank, BeginPass("train", 1, "train@1")) for rank in range(2)]
    assert ledger.superseded and ledger.is_first
    again = ledger.again()
    assert (again.name, again.passes, again.superseded) == ("train@1", 3, False)
    assert not again.is_first and again.limited and again.dropping
    ledger.consumed(1, FeedProgress(terminated=True))
    assert again.terminated(1) and not again.terminated(0)
    # A node that needs no more is not waited for.
    ledger.ask(0, 2, whole=False)
    assert ledger.decide([0, 1])[0] == (0, BeginPass("train", 2, "train@2"))
    assert again.superseded


def test_nodes_that_keep_everything_are_not_asked() -> None:
    ledger = FeedLedger("train", 1)
    ledger.ask(0, 1, whole=True)
    assert ledger.decide([0]) == []
    assert not ledger.superseded


def test_rows_in_a_seeds_order_lie_where_it_says() -> None:
    assert list(FeedLedger("train", 3, ordered=True, seed=1).place("0", True, [2], 8)) == [0, 1, 2]


def test_a_host_gets_no_more_ahead_than_its_nodes_may_keep() -> None:
    ledger = FeedLedger("train", 2, limit=limited(bytes=100))
    places = [list(ledger.place("0", False, [1], 10)) for _ in range(4)]
    assert places == [[1], [1], [0, 1], [0, 1]]


def test_the_size_of_what_nodes_store_follows_the_rows() -> None:
    feed = FeedLedger("train", 2)
    feed.commit(commit_of("train", "0", "0-0", (8, 2), (800, 200)))
    assert feed.stored_bytes() == [800, 200]
    feed.close()  # moves three rows
    assert feed.stored_bytes() == [500, 500]
    feed.dropped(0, 1)
    assert feed.stored_bytes() == [400, 500]
    feed.given("given-0")
    feed.remove()
    assert feed.stored_bytes() == [0, 0]
