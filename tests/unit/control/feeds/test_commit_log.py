"""Keys count once, and endless feeds leave none."""

from __future__ import annotations

import pytest

from tensorsparkml.control.feeds.commit_log import CommitLog
from tensorsparkml.control.feeds.placement import Placement


@pytest.mark.parametrize("part", ["", "7/", "2026-11-27T10:00:00/"])
def test_a_key_counts_once(part: str) -> None:
    log = CommitLog()
    assert [log.accept(f"{part}{key}") for key in ("0.0", "0.1", "1.0")] == [True] * 3
    assert not any(log.accept(f"{part}{key}") for key in ("0.0", "0.1", "1.0"))


def test_the_same_partition_of_another_part_is_another_one() -> None:
    log = CommitLog()
    assert log.accept("1/0.0") and log.accept("2/0.0") and log.accept("0.0")


def test_nothing_of_a_part_counts_once_its_job_has_ended() -> None:
    log = CommitLog()
    log.accept("1/0.0")
    log.end("1")
    assert len(log) == 0
    assert not log.accept("1/0.0") and not log.accept("1/1.0")
    assert log.accept("2/0.0")


def test_a_log_does_not_grow_with_the_number_of_parts() -> None:
    log, placement = CommitLog(), Placement(nodes=3, lead_bytes=2**30)
    for part in range(5_000):
        for partition in range(4):
            assert log.accept(f"{part}/{partition}.0")
            placement.place(f"{part}/{partition}", True, [0, 1], 100)
        log.end(str(part))
        placement.end_part(str(part))
        assert len(log) == 0
    assert not log.accept("4500/0.0")  # of the last thousand
    assert vars(placement)["_given"] == {}
