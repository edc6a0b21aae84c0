"""The spool: what the trainer may read, when, and what is given away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.example_commits import commit_of

from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.control.protocol.directives import (
    BeginPass,
    Close,
    Drop,
    Give,
    Open,
    Publish,
    ReadFiles,
    Release,
    Remove,
)
from tensorsparkml.data.spool import store as spool_module
from tensorsparkml.data.spool.segments import LocatedBatch, Origin, RowReader
from tensorsparkml.data.spool.store import Spool

SCHEMA = pa.schema([("id", pa.int64())])
LONG = 60.0  # for waits that news must end


def write(spool: Spool, feed: str, segment: str, *ids: int) -> None:
    writer = spool.receive(feed, segment, SCHEMA)
    batch = pa.record_batch([pa.array(ids, pa.int64())], schema=SCHEMA)
    writer.write(LocatedBatch(batch, Origin(0, 0)))
    writer.finish()


def ids_of(slices: list[LocatedBatch]) -> list[int]:
    return [value for part in slices for value in part.batch.column("id").to_pylist()]


def held_ids(window: dict[str, Any]) -> list[int]:
    reader = RowReader()
    for path, rows in window["segments"]:
        reader.append(path, rows)
    return ids_of(reader.read(0, reader.rows))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


NOTHING: dict[str, Any] = {
    "segments": [],
    "held_by_all": 0,
    "closed": None,
    "files": None,
    "opened": None,
    "keep_bytes": None,
    "instead": None,
}


def test_rows_are_unseen_until_they_are_published(spool: Spool) -> None:
    write(spool, "train", "a", 1, 2)
    assert spool.window("train", 0, 0, wait_seconds=0.0) == NOTHING
    spool.apply(Publish("train", "a", 2))
    assert held_ids(spool.window("train", 0, 0, LONG)) == [1, 2]


def test_segments_are_read_in_the_order_of_their_publication(spool: Spool) -> None:
    for segment, value in (("a", 1), ("b", 2), ("c", 3)):
        write(spool, "train", segment, value)
    for segment in "cab":
        spool.apply(Publish("train", segment, 1))
    assert held_ids(spool.window("train", 0, 0, LONG)) == [3, 1, 2]
    # Who knows the first one gets the others.
    assert held_ids(spool.window("train", 1, 0, LONG)) == [1, 2]


def test_feeds_do_not_mix(spool: Spool) -> None:
    write(spool, "train", "a", 1)
    write(spool, "validation", "a", 2)
    for feed in ("train", "validation"):
        spool.apply(Publish(feed, "a", 1))
    spool.apply(Close("train", 1, 1, 1))
    assert held_ids(spool.window("train", 0, 0, LONG)) == [1]
    assert held_ids(spool.window("validation", 0, 0, LONG)) == [2]
    assert spool.window("validation", 1, 0, 0.0)["closed"] is None


def test_the_last_feeds_end_the_wait_for_another(spool: Spool) -> None:
    spool.apply(Open("train", None, False, True))
    spool.last_feeds(("train", "validation"))
    assert spool.window("other", 0, 0, LONG) == {**NOTHING, "instead": ["train", "validation"]}
    for there_or_to_come in ("train", "train@1", "validation"):
        assert spool.window(there_or_to_come, 0, 0, 0.0)["instead"] is None


def test_a_feed_that_came_before_it_was_the_last_is_there(spool: Spool) -> None:
    spool.apply(ReadFiles("train", ("file:/a",), 1))
    spool.last_feeds(())
    assert spool.window("train", 0, 0, LONG)["instead"] is None


def test_release_and_close_are_told(spool: Spool) -> None:
    spool.apply(Release("train", 5))
    assert spool.window("train", 0, 0, LONG) == {**NOTHING, "held_by_all": 5}
    spool.apply(Close("train", 12, 6, passes=3))
    assert spool.window("train", 0, 5, LONG) == {
        "segments": [],
        "held_by_all": 5,
        "closed": {"total": 12, "rows": 6, "passes": 3},
        "files": None,
        "opened": None,
        "keep_bytes": None,
        "instead": None,
    }


def test_who_knows_everything_of_an_open_feed_gets_nothing_new(spool: Spool) -> None:
    write(spool, "train", "a", 1)
    spool.apply(Publish("train", "a", 1))
    spool.apply(Release("train", 1))
    assert spool.window("train", 1, 1, wait_seconds=0.0) == {**NOTHING, "held_by_all": 1}


@pytest.mark.parametrize(
    "news",
    [
        lambda spool: spool.apply(Publish("train", "b", 1)),
        lambda spool: spool.apply(Release("train", 2)),
        lambda spool: spool.apply(Close("train", 2, 1, 1)),
    ],
    ids=["publish", "release", "close"],
)
def test_a_window_waits_for_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, news: Callable[[Spool], None]
) -> None:
    waits = threading.Semaphore(0)

    class Announced(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.release()
            return super().wait(timeout)

    monkeypatch.setattr(spool_module, "threading", SimpleNamespace(Condition=Announced))
    spool = Spool(tmp_path)
    write(spool, "train", "a", 1)
    spool.apply(Publish("train", "a", 1))
    spool.apply(Release("train", 1))
    found: list[dict[str, Any]] = []
    waiting = threading.Thread(
        target=lambda: found.append(spool.window("train", 1, 1, LONG)), daemon=True
    )
    waiting.start()
    assert waits.acquire(timeout=LONG)
    # What happens to another feed is no news: it waits again.
    spool.apply(Release("validation", 9))
    assert waits.acquire(timeout=LONG)
    assert not found
    news(spool)
    waiting.join(LONG)
    assert found == [spool.window("train", 1, 1, 0.0)]
    assert found != [{**NOTHING, "held_by_all": 1}]


def test_the_last_rows_are_given(spool: Spool) -> None:
    write(spool, "train", "a", 1, 2, 3)
    write(spool, "train", "b", 4, 5)
    spool.apply(Publish("train", "a", 3))
    spool.apply(Publish("train", "b", 2))
    assert ids_of(spool.rows_to_give(Give("train", "given-0", 1, 2, 3))) == [3, 4, 5]


def test_which_rows_are_given_does_not_depend_on_who_comes_first(spool: Spool) -> None:
    write(spool, "train", "a", *range(9))
    spool.apply(Publish("train", "a", 9))
    assert ids_of(spool.rows_to_give(Give("train", "given-1", 2, 4, 2))) == [4, 5]
    assert ids_of(spool.rows_to_give(Give("train", "given-0", 1, 6, 3))) == [6, 7, 8]


def test_unpublished_rows_are_not_given(spool: Spool) -> None:
    write(spool, "train", "a", 1, 2)
    write(spool, "train", "b", 3)
    spool.apply(Publish("train", "a", 2))
    assert ids_of(spool.rows_to_give(Give("train", "given-0", 1, 1, 1))) == [2]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=5))
def test_balancing_moves_every_row_to_one_node(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("spools")
    spools = [Spool(directory / str(rank)) for rank in range(len(rows))]
    ids = iter(range(sum(rows)))
    for spool, count in zip(spools, rows, strict=True):
        if count:
            write(spool, "train", "a", *(next(ids) for _ in range(count)))
    ledger = FeedLedger("train", len(rows))
    pending = [
        *ledger.commit(commit_of("train", "0", "a", tuple(rows), (8,) * len(rows))),
        *ledger.close(),
    ]
    closes: dict[int, Close] = {}
    while pending:
        rank, directive = pending.pop(0)
        match directive:
            case Publish() | Release():
                spools[rank].apply(directive)
            case Close():
                closes[rank] = directive
            case Give():
                given_ids = ids_of(spools[rank].rows_to_give(directive))
                write(spools[directive.target], "train", directive.segment, *given_ids)
                pending += ledger.given(directive.segment)
    held = []
    for rank, spool in enumerate(spools):
        held += held_ids(spool.window("train", 0, 0, 0.0))[: closes[rank].rows]
    assert sorted(held) == list(range(sum(rows)))
    for spool in spools:
        spool.remove()


def test_nobody_waits_at_a_closed_spool(spool: Spool) -> None:
    spool.close()
    assert spool.begun("train", 1, LONG) is None
    assert not spool.window("train", 0, 0, LONG)["segments"]


def test_removing_deletes_every_file(spool: Spool, tmp_path: Path) -> None:
    write(spool, "train", "a", 1)
    spool.remove()
    assert list(tmp_path.iterdir()) == []
    spool.remove()


def test_a_feed_that_nobody_wants_is_deleted(spool: Spool) -> None:
    for feed in ("train", "validation"):
        write(spool, feed, "0-0", 1)
        spool.apply(Publish(feed, "0-0", 1))
    spool.apply(Close("train", 1, 1, 1))
    spool.apply(Remove("train"))
    spool.delete("train")
    assert [path.name for path in spool.directory.iterdir()] == ["validation"]
    window = spool.window("train", 0, 0, LONG)
    assert not window["segments"]
    assert window["closed"]
    assert held_ids(spool.window("validation", 0, 0, LONG)) == [1]


def test_a_feed_that_files_hold_is_told(spool: Spool) -> None:
    spool.apply(ReadFiles("train", ("s3://a",), 2, seed=7))
    expected = {**NOTHING, "files": {"uris": ["s3://a"], "passes": 2, "seed": 7}}
    assert spool.window("train", 0, 0, LONG) == expected


def test_how_a_feed_is_read_is_told_with_what_comes_next(spool: Spool) -> None:
    spool.apply(Open("train", seed=7, ordered=True, limited=False))
    assert spool.window("train", 0, 0, 0.0)["opened"] == {
        "seed": 7,
        "ordered": True,
        "limited": False,
    }


def test_who_reads_a_limited_feed_starves_when_there_is_nothing_new(spool: Spool) -> None:
    write(spool, "train", "a", 2)
    assert not spool.starves("train", 0, 0)
    spool.apply(Open("train", seed=None, ordered=False, limited=True))
    assert spool.starves("train", 0, 0)
    spool.apply(Publish("train", "a", 2))
    assert not spool.starves("train", 0, 0)
    assert spool.starves("train", 1, 0)
    spool.apply(Close("train", 2, 2, 1))
    assert not spool.starves("train", 1, 0)


def test_a_pass_begins_when_it_may(spool: Spool) -> None:
    assert spool.begun("train", 1, 0.0) is None
    spool.apply(BeginPass("train", 1, "train@1"))
    assert spool.begun("train", 1, LONG) == {"delivery": "train@1"}
    assert spool.begun("train", 2, 0.0) is None


def test_dropping_is_told(spool: Spool) -> None:
    assert spool.window("train", 0, 0, 0.0)["keep_bytes"] is None
    spool.apply(Drop("train", 7))
    assert spool.window("train", 0, 0, 0.0)["keep_bytes"] == 7


def test_segments_that_the_trainer_has_dropped_are_forgotten(spool: Spool) -> None:
    for number in range(4):
        write(spool, "train", str(number), 2 * number, 2 * number + 1)
        spool.apply(Publish("train", str(number), 2))
    assert len(spool.window("train", 0, 0, LONG)["segments"]) == 4
    spool.forget("train", 4)
    assert held_ids(spool.window("train", 2, 0, LONG)) == [4, 5, 6, 7]
    write(spool, "train", "4", 8, 9)
    spool.apply(Publish("train", "4", 2))
    assert held_ids(spool.window("train", 4, 0, LONG)) == [8, 9]
    assert ids_of(spool.rows_to_give(Give("train", "given-0", 1, 7, 3))) == [7, 8, 9]
    spool.forget("train", 6)
    assert spool.window("train", 5, 0, 0.0) == NOTHING
