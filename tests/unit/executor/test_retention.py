"""Which logs of ended clusters are kept: the rule, and its application to real folders."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tensorsparkml.executor import folders
from tensorsparkml.executor.folders import hold
from tensorsparkml.executor.retention import (
    KEPT_BYTES,
    KEPT_CLUSTERS,
    KEPT_SECONDS,
    EndedCluster,
    delete_expired,
    expired,
)

NOW = 1_800_000_000.0


def clusters(*ages_and_sizes: tuple[float, int]) -> list[EndedCluster]:
    return [
        EndedCluster(Path(str(number)), NOW - age, size)
        for number, (age, size) in enumerate(ages_and_sizes)
    ]


def test_few_small_new_logs_are_kept() -> None:
    assert expired([], NOW) == []
    assert expired(clusters((0.0, 10), (KEPT_SECONDS, KEPT_BYTES - 10)), NOW) == []


def test_the_newest_ones_are_kept_in_any_order() -> None:
    ended = clusters(*((float(age), 1) for age in range(KEPT_CLUSTERS + 3)))
    assert expired(ended[::-1], NOW) == ended[KEPT_CLUSTERS:]


def test_older_ones_than_the_first_that_is_too_much_are_deleted() -> None:
    ended = clusters((1.0, KEPT_BYTES - 1), (2.0, 2), (3.0, 1))
    assert expired(ended, NOW) == ended[1:]


def test_the_newest_one_is_kept_whatever_its_size() -> None:
    ended = clusters((1.0, KEPT_BYTES + 1), (2.0, 1))
    assert expired(ended, NOW) == ended[1:]


def test_old_ones_are_deleted() -> None:
    ended = clusters((KEPT_SECONDS + 1, 1), (1.0, 1))
    assert expired(ended, NOW) == ended[:1]


# On disk


def make_cluster(root: Path, number: int, age: float = 0.0) -> Path:
    folder = root / f"{number:012x}"
    log = folder / "logs" / "nodes" / "chief-0.log"
    log.parent.mkdir(parents=True)
    log.write_text("hello\n")
    os.utime(log, (time.time() - age,) * 2)
    (folder / "chief-0.spool" / "train").mkdir(parents=True)
    (folder / "chief-0.spool" / "train" / "1.arrow").write_text("rows")
    folder.chmod(0o700)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_ended_clusters_keep_their_logs_and_running_ones_everything(tmp_path: Path) -> None:
    running = make_cluster(tmp_path, 0, age=2 * KEPT_SECONDS)
    old = make_cluster(tmp_path, 1, age=2 * KEPT_SECONDS)
    ended = [make_cluster(tmp_path, 2 + age, age * 60.0) for age in range(KEPT_CLUSTERS + 1)]
    (tmp_path / "else").mkdir()
    uses = [hold(running), hold(running)]

    os.close(uses.pop())  # of one of its two agents
    delete_expired(tmp_path)

    assert names(running) == {"logs", "chief-0.spool"}
    assert names(tmp_path) == {running.name, "else", *(folder.name for folder in ended[:-1])}
    assert names(ended[0]) == {"logs"}
    assert (ended[0] / "logs" / "nodes" / "chief-0.log").read_text() == "hello\n"
    os.close(uses.pop())
    delete_expired(tmp_path)
    assert not running.exists()
    assert not old.exists()


def test_a_cluster_without_logs_leaves_nothing(tmp_path: Path) -> None:
    folder = make_cluster(tmp_path, 1)
    (folder / "logs" / "nodes" / "chief-0.log").unlink()
    delete_expired(tmp_path)
    assert names(tmp_path) == set()


def test_the_temporary_folder_that_a_killed_agent_left_is_deleted(tmp_path: Path) -> None:
    folder = make_cluster(tmp_path, 1)
    temporary = tmp_path / "tsm-1"
    (temporary / "tmp").mkdir(parents=True)
    (temporary / "tmp" / "left").write_text("by main")
    other = tmp_path / "not a folder"
    other.write_text("kept")
    (folder / "chief-0.temporary").symlink_to(temporary)
    (folder / "worker-0.temporary").symlink_to(tmp_path / "gone")
    (folder / "worker-1.temporary").symlink_to(other)
    delete_expired(tmp_path)
    assert names(tmp_path) == {folder.name, other.name}
    assert names(folder) == {"logs"}


def test_who_comes_while_the_folder_is_deleted_makes_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_cluster(tmp_path, 1, age=2 * KEPT_SECONDS)
    lock = folders.fcntl.flock

    def deleted_before_the_lock(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        delete_expired(tmp_path)
        assert not folder.exists()
        lock(descriptor, operation)

    monkeypatch.setattr(folders.fcntl, "flock", deleted_before_the_lock)
    use = hold(folder)
    assert names(folder) == set()
    delete_expired(tmp_path)
    assert folder.exists()
    os.close(use)
