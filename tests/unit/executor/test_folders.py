"""The folders of a node: they are the user's alone, or the error says why not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.unit.example_plan import example_plan

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.executor.folders import (
    NodeFolders,
    open_log,
    private_folder,
    remove_tree,
    root_below,
)

ME = os.geteuid()
NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def folders(tmp_path: Path) -> NodeFolders:
    return NodeFolders(replace(example_plan(), work_dir=str(tmp_path / "work")), 1)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_what_is_made_is_for_its_user_alone(folders: NodeFolders, umask: int) -> None:
    before = os.umask(umask)
    try:
        os.close(folders.claim())
        folders.open_agent_log().close()
        temporary = folders.make_temporary()
    finally:
        os.umask(before)
    assert folders.root.name == f"tensorsparkml-{ME}"
    assert mode(folders.root) == mode(folders.cluster) == mode(temporary) == 0o700
    assert mode(folders.agent_log) == 0o600
    folders.remove()
    assert not temporary.exists()
    assert [path.name for path in folders.cluster.iterdir()] == ["logs"]


def test_it_is_made_once_and_used_again(folders: NodeFolders) -> None:
    first, second = folders.claim(), folders.claim()
    os.close(first)
    os.close(second)


def test_a_folder_that_is_deleted_in_between_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lstat = Path.lstat

    def delete_first(path: Path) -> os.stat_result:
        monkeypatch.undo()
        path.rmdir()
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", delete_first)
    private_folder(tmp_path / "cluster")
    assert (tmp_path / "cluster").is_dir()


def test_the_log_folder_that_the_user_names_is_as_the_user_makes_folders(tmp_path: Path) -> None:
    plan = replace(example_plan(), work_dir=str(tmp_path), log_dir=str(tmp_path / "logs"))
    folders = NodeFolders(plan, 0)
    assert not folders.own_logs
    before = os.umask(0o022)
    try:
        folders.open_agent_log().close()
    finally:
        os.umask(before)
    assert mode(folders.agent_log.parent) == 0o755
    assert mode(folders.agent_log) == 0o644


def refused(root: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        private_folder(root)
    message = caught.value.message
    assert message.startswith(f"{root} must be a folder that only user ")
    assert message.endswith("; remove it, or set work_dir to another folder")
    return message


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "root").symlink_to(tmp_path / "mine")
    assert "it is a symbolic link" in refused(tmp_path / "root")


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to(tmp_path / "nowhere")
    assert "it is a symbolic link" in refused(tmp_path / "root")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").touch(mode=0o600)
    assert "it is not a folder" in refused(tmp_path / "root")


@pytest.mark.parametrize("bits", [0o777, 0o750, 0o701, 0o1770])
def test_a_folder_that_is_open_to_others_is_refused(tmp_path: Path, bits: int) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root").chmod(bits)
    assert f"is open to other users (mode {bits:04o})" in refused(tmp_path / "root")


def test_a_folder_of_somebody_else_is_refused_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: ME + 1)
    assert "it belongs to user " in (message := refused(tmp_path / "root"))
    assert f"({ME}); remove it" in message


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    plan = replace(example_plan(), work_dir=str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=r"file.* set work_dir to a folder in which user"):
        NodeFolders(plan, 0).claim()
    plan = replace(example_plan(), log_dir=str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=r"file.* set log_dir to a folder in which user"):
        NodeFolders(plan, 0).open_agent_log()


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        open_log(tmp_path / "log")
    assert (tmp_path / "target").read_text() == "kept"


def test_a_folder_that_its_program_has_closed_is_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o500)
    folder = tmp_path / "folder"
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "closed" / "inner" / "file").touch()
    (folder / "closed" / "link").symlink_to(outside)
    (folder / "closed" / "inner").chmod(0o000)
    (folder / "closed").chmod(0o500)
    remove_tree(folder)
    assert not folder.exists()
    assert mode(outside) == 0o500


def test_the_end_does_not_mind_what_the_program_has_deleted(folders: NodeFolders) -> None:
    os.close(folders.claim())
    temporary = folders.make_temporary()
    remove_tree(temporary)
    remove_tree(folders.cluster)
    folders.remove()
    assert not folders.cluster.exists()


# Another user of the host

ANOTHER = """
import os, sys
from dataclasses import replace
from pathlib import Path
from tests.unit.example_plan import example_plan
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.executor.folders import NodeFolders, remove_tree

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
folders = NodeFolders(replace(example_plan(), work_dir=sys.argv[1]), 0)
try:
    os.close(folders.claim())
    folders.open_agent_log().close()
    print("made", folders.root, folders.root.stat().st_uid)
    for path in Path(sys.argv[1]).iterdir():
        print(path.name, os.access(path, os.R_OK) or os.access(path, os.X_OK))
except ConfigurationError as error:
    print(error.message)
"""


def as_another_user(work_dir: Path) -> list[str]:
    if ME != 0:
        pytest.skip("only root can become another user")
    result = subprocess.run(
        [sys.executable, "-c", ANOTHER, str(work_dir)], capture_output=True, text=True
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like the system's temporary one; pytest's own are closed to others."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


def test_two_users_share_a_work_dir(shared: Path) -> None:
    mine = NodeFolders(replace(example_plan(), work_dir=str(shared)), 0)
    os.close(mine.claim())
    theirs = root_below(shared).with_name(f"tensorsparkml-{NOBODY}")
    lines = as_another_user(shared)
    assert lines[0] == f"made {theirs} {NOBODY}"
    assert sorted(lines[1:]) == [f"{mine.root.name} False", f"{theirs.name} True"]


def test_a_root_that_somebody_else_was_first_to_make_is_named_with_its_owner(shared: Path) -> None:
    squatted = shared / f"tensorsparkml-{NOBODY}"
    squatted.mkdir(mode=0o777)
    [message] = as_another_user(shared)
    assert message.startswith(f"{squatted} must be a folder that only user ")
    assert f"({NOBODY}) can enter, but it belongs to user " in message
    assert message.endswith("(0); remove it, or set work_dir to another folder")
