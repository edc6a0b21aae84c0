"""Which files a model has, and the copies of remote ones on a host."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from tensorsparkml.errors import DataError
from tensorsparkml.inference.models import files
from tensorsparkml.inference.models.files import list_files, local_copy

FILES = {"saved_model.pb": b"graph", "variables/variables.data": b"1234"}


class RemoteFileSystem(LocalFileSystem):  # type: ignore[misc]
    """Files of this host that count as remote; it counts what is fetched."""

    protocol = "remote"
    fetched: int = 0
    before_file: Any = None

    def get_file(self, source: str, target: str, *args: Any, **kwargs: Any) -> None:
        type(self).fetched += 1
        if self.before_file is not None:
            type(self).before_file(source)
        super().get_file(source, target, *args, **kwargs)


@pytest.fixture(autouse=True)
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[RemoteFileSystem]]:
    fsspec.register_implementation("remote", RemoteFileSystem, clobber=True)
    monkeypatch.setattr(RemoteFileSystem, "fetched", 0)
    monkeypatch.setattr(RemoteFileSystem, "before_file", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return RemoteFileSystem


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    write(folder, FILES)
    return folder


def write(folder: Path, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def read(folder: str) -> dict[str, bytes]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def copies(tmp_path: Path) -> list[Path]:
    [root] = (tmp_path / "tmp").iterdir()
    return [path for path in (root / "models").iterdir() if path.is_dir()]


def test_files_are_named_below_their_folder(model: Path) -> None:
    assert list_files(str(model)).names == sorted(FILES)
    assert list_files(f"{model}/").names == sorted(FILES)
    assert list_files(str(model / "saved_model.pb")).names == [""]


def test_what_is_not_there_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(DataError, match=f"there is no model in .*{name}"):
            list_files(str(tmp_path / name))


@pytest.mark.parametrize("changed", ["size", "time", "fingerprint", "name"])
def test_another_content_has_another_key(model: Path, changed: str) -> None:
    write(model, {"fingerprint.pb": b"one"})
    before = list_files(str(model))
    status = (model / "fingerprint.pb").stat()
    if changed == "size":
        write(model, {"saved_model.pb": b"longer graph"})
    elif changed == "time":
        os.utime(model / "saved_model.pb", (1, 1))
    elif changed == "fingerprint":
        write(model, {"fingerprint.pb": b"two"})
        os.utime(model / "fingerprint.pb", ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        write(model, {"assets/words": b""})
    assert list_files(str(model)).key != before.key
    assert before.key == before.key


def test_local_files_are_used_where_they_are(model: Path) -> None:
    with local_copy(list_files(str(model))) as (found, path):
        assert path == str(model)
        assert found == list_files(str(model))


def test_remote_files_are_fetched_once(model: Path, remote: type[RemoteFileSystem]) -> None:
    for _ in range(2):
        with local_copy(list_files(f"remote://{model}")) as (_, path):
            assert path != str(model)
            assert path.endswith("/model")
            assert read(path) == FILES
    assert remote.fetched == len(FILES)


def test_a_single_remote_file_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"zip")
    with local_copy(list_files(f"remote://{tmp_path}/m.keras")) as (_, path):
        assert path.endswith("/m.keras")
        assert Path(path).read_bytes() == b"zip"


def test_a_model_that_was_overwritten_is_fetched_again(model: Path) -> None:
    for content in (b"1234", b"567890"):
        write(model, {"variables/variables.data": content})
        with local_copy(list_files(f"remote://{model}")) as (_, path):
            assert read(path)["variables/variables.data"] == content


def test_a_model_that_changes_while_it_is_fetched_is_fetched_whole(
    model: Path, remote: type[RemoteFileSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwrite(_: str) -> None:
        if remote.fetched == 1:
            write(model, {"saved_model.pb": b"new graph", "variables/variables.data": b"new"})

    monkeypatch.setattr(remote, "before_file", overwrite)
    with local_copy(list_files(f"remote://{model}")) as (found, path):
        assert found == list_files(f"remote://{model}")
        assert read(path) == {
            "saved_model.pb": b"new graph",
            "variables/variables.data": b"new",
        }


def test_a_model_that_never_stops_changing_is_an_error(
    tmp_path: Path,
    model: Path,
    remote: type[RemoteFileSystem],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overwrite(_: str) -> None:
        write(model, {"saved_model.pb": b"x" * remote.fetched})

    monkeypatch.setattr(remote, "before_file", overwrite)
    with (
        pytest.raises(DataError, match="was overwritten 3 times"),
        local_copy(list_files(f"remote://{model}")),
    ):
        pass
    assert copies(tmp_path) == []


def test_a_download_that_breaks_off_is_never_used(
    tmp_path: Path,
    model: Path,
    remote: type[RemoteFileSystem],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(source: str) -> None:
        if source.endswith("data"):
            raise OSError("connection reset")

    monkeypatch.setattr(remote, "before_file", fail)
    listed = list_files(f"remote://{model}")
    with pytest.raises(DataError, match=r"cannot fetch .* connection reset"), local_copy(listed):
        pass
    assert copies(tmp_path) == []
    monkeypatch.setattr(remote, "before_file", None)
    with local_copy(listed) as (_, path):
        assert read(path) == FILES


def test_what_a_killed_process_has_left_is_deleted(tmp_path: Path, model: Path) -> None:
    listed = list_files(f"remote://{model}")
    with local_copy(listed):
        [copy] = copies(tmp_path)
    left = copy.with_name(".fetch-left")
    write(left, FILES)
    with local_copy(listed):
        assert not left.exists()


def test_the_copies_that_are_not_used_make_room(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other"
    write(other, {"saved_model.pb": b"x" * 100})
    first, second = list_files(f"remote://{model}"), list_files(f"remote://{other}")
    with local_copy(first, most_bytes=50), local_copy(second, most_bytes=50):
        # Both are in use.
        assert {copy.name for copy in copies(tmp_path)} == {first.key, second.key}
    with local_copy(second, most_bytes=50) as (_, path):
        assert [copy.name for copy in copies(tmp_path)] == [second.key]
        assert read(path) == {"saved_model.pb": b"x" * 100}


def use(uri: str, temporary: str, results: Any) -> None:
    tempfile.tempdir = temporary
    fsspec.register_implementation("remote", RemoteFileSystem, clobber=True)
    with local_copy(list_files(uri)) as (_, path):
        results.put((read(path), RemoteFileSystem.fetched))


def test_processes_that_fetch_at_once_share_one_copy(tmp_path: Path, model: Path) -> None:
    # Not "fork": a lock that a thread of this process holds would stay locked in the children.
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (f"remote://{model}", str(tmp_path / "tmp"), results)
    processes = [context.Process(target=use, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert all(content == FILES for content, _ in found)
    assert sum(fetched for _, fetched in found) == len(FILES)
    assert len(copies(tmp_path)) == 1


def test_who_waits_for_a_fetch_uses_it(
    tmp_path: Path, model: Path, remote: type[RemoteFileSystem]
) -> None:
    listed = list_files(f"remote://{model}")
    with local_copy(listed):
        [copy] = copies(tmp_path)
    used = threading.Event()

    def wait() -> None:
        with local_copy(listed):
            used.set()

    with (copy.parent / files._LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=wait)
        thread.start()
        assert not used.wait(0.2)
    thread.join(60)
    assert used.is_set()
    assert remote.fetched == len(FILES)
