"""A node's log folder and its copy, on fsspec's local filesystem under its other name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorsparkml.executor.agent.log_upload import LogCopies, node_log_dir


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "own"
    (made / "nodes").mkdir(parents=True)
    (made / "nodes" / "chief-0.log").write_text("hello\n")
    return made


def test_only_a_folder_that_is_copied_is_a_nodes_own() -> None:
    base = Path("/work/c0ffee")
    assert node_log_dir(None, base, "chief-0") == base / "logs"
    assert node_log_dir("/mnt/logs", base, "chief-0") == Path("/mnt/logs")
    assert node_log_dir("file:///mnt/logs", base, "chief-0") == Path("/mnt/logs")
    assert node_log_dir("s3://bucket/logs", base, "worker-1") == base / "logs" / "worker-1"


def test_what_has_changed_is_copied_and_what_else_is_there_stays(
    folder: Path, tmp_path: Path
) -> None:
    target, warnings = tmp_path / "copy", list[str]()
    target.mkdir()
    (target / "of another node").write_text("!")
    copies = LogCopies(folder, f"local://{target}/", warnings.append)
    assert copies.copy()
    (target / "nodes" / "chief-0.log").write_text("not copied again")
    (folder / "train").mkdir()
    (folder / "train" / "events").write_text("1")
    assert copies.copy()
    assert content(target) == {
        "of another node": "!",
        "nodes/chief-0.log": "not copied again",
        "train/events": "1",
    }
    with (folder / "nodes" / "chief-0.log").open("a") as log:
        log.write("bye\n")
    copies.finish()
    assert content(target)["nodes/chief-0.log"] == "hello\nbye\n"
    assert not folder.exists()
    assert warnings == []


def test_a_copy_that_fails_is_a_warning_and_keeps_the_folder(folder: Path, tmp_path: Path) -> None:
    target, warnings = tmp_path / "copy", list[str]()
    target.write_text("a file where a folder must be")
    copies = LogCopies(folder, f"local://{target}", warnings.append)
    assert not copies.copy()
    assert not copies.copy()
    assert len(warnings) == 1
    assert f"{folder / 'nodes' / 'chief-0.log'} could not be copied to local://" in warnings[0]
    copies.finish()
    assert warnings[1:] == [
        f"not all logs could be copied to local://{target}; they stay in {folder}"
    ]
    assert content(folder) == {"nodes/chief-0.log": "hello\n"}
