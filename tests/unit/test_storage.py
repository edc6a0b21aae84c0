"""Paths on any filesystem, and folders that are whole or not there."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.storage import (
    absolute_path,
    arrow_filesystem,
    filesystem_of,
    local_path,
    write_directory,
)

USER = getpass.getuser()


@pytest.mark.parametrize(
    ("path", "default_fs", "expected"),
    [
        # A URI stays, whatever the default.
        ("s3://bucket/a", "file:///", "s3://bucket/a"),
        ("hdfs://other/a", "hdfs://nn", "hdfs://other/a"),
        ("file:///tmp/a", "hdfs://nn", "/tmp/a"),
        ("file:/tmp/a", "hdfs://nn", "/tmp/a"),
        ("file://localhost/tmp/a", "hdfs://nn", "/tmp/a"),
        # On a local filesystem, relative paths begin where the driver runs.
        ("/tmp/a", "file:///", "/tmp/a"),
        ("a/b", "file:///", "/work/dir/a/b"),
        ("../a", "file:///", "/work/a"),
        ("a", "file:", "/work/dir/a"),
        # On another one, in the user's home.
        ("/data/a", "hdfs://nn", "hdfs://nn/data/a"),
        ("/data/a", "hdfs://nn:8020/", "hdfs://nn:8020/data/a"),
        ("a/b", "hdfs://nn", f"hdfs://nn/user/{USER}/a/b"),
        # These belong to names, not to URIs.
        ("run#1", "file:///", "/work/dir/run#1"),
        ("/a?b", "hdfs://nn", "hdfs://nn/a?b"),
        ("file:///a#b?c", "file:///", "/a#b?c"),
        ("/a b%20c", "file:///", "/a b%20c"),
    ],
)
def test_absolute_paths(path: str, default_fs: str, expected: str) -> None:
    assert absolute_path(path, default_fs, "/work/dir") == expected


def test_a_path_of_pathlib_is_one() -> None:
    assert absolute_path(Path("a/b"), "file:///", "/work") == "/work/a/b"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/b", "/a/b"),
        ("a#1", "a#1"),
        ("file:///a#1", "/a#1"),
        ("hdfs://nn/a", None),
        ("memory://a", None),
    ],
)
def test_local_paths(uri: str, path: str | None) -> None:
    assert local_path(uri) == path


# Writing folders


def model(*names: str) -> Callable[[str], None]:
    """A writer of a folder that has these files."""

    def write(path: str) -> None:
        for name in names:
            file = Path(path, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"content of {name}")

    return write


def files(uri: str) -> dict[str, str]:
    """The files below a folder, hidden ones too."""
    filesystem, root = fsspec.core.url_to_fs(uri)
    found = filesystem.find(root) if filesystem.exists(root) else []
    root = root.rstrip("/")
    return {path.removeprefix(f"{root}/"): filesystem.cat_file(path).decode() for path in found}


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A URI below which nothing is."""
    if request.param == "memory":
        filesystem = fsspec.filesystem("memory")
        yield "memory://models"
        if filesystem.exists("/models"):
            filesystem.rm("/models", recursive=True)
    else:
        yield str(tmp_path) if request.param == "path" else f"file://{tmp_path}"


def test_a_folder_is_written_with_those_above_it(folder: str) -> None:
    write_directory(f"{folder}/a/b/model", model("saved.pb", "variables/0"))
    assert files(folder) == {
        "a/b/model/saved.pb": "content of saved.pb",
        "a/b/model/variables/0": "content of variables/0",
    }


def test_a_folder_that_is_there_is_replaced(folder: str) -> None:
    write_directory(f"{folder}/model", model("old", "both"))
    write_directory(f"{folder}/other", model("stays"))
    write_directory(f"{folder}/model", model("both", "new"))
    assert sorted(files(folder)) == ["model/both", "model/new", "other/stays"]


def test_a_slash_at_the_end_changes_nothing(folder: str) -> None:
    write_directory(f"{folder}/model/", model("old"))
    write_directory(f"{folder}/model/", model("new"))
    assert sorted(files(folder)) == ["model/new"]


@pytest.mark.parametrize("before", [(), ("old",)])
def test_a_writer_that_fails_changes_nothing(folder: str, before: tuple[str, ...]) -> None:
    if before:
        write_directory(f"{folder}/model", model(*before))

    def fails(path: str) -> None:
        model("half")(path)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_directory(f"{folder}/model", fails)
    assert sorted(files(folder)) == [f"model/{name}" for name in before]


def test_names_with_a_hash_do_not_replace_others(tmp_path: Path) -> None:
    write_directory(str(tmp_path / "run"), model("old"))
    write_directory(str(tmp_path / "run#1"), model("new"))
    assert sorted(files(str(tmp_path))) == ["run#1/new", "run/old"]


def test_a_colon_in_a_name_is_no_scheme(tmp_path):
    assert absolute_path("model-12:30", "file:///", str(tmp_path)) == str(tmp_path / "model-12:30")


def test_a_writer_that_writes_nothing_leaves_what_is_there(tmp_path):
    target = tmp_path / "model"
    write_directory(str(target), lambda path: Path(path).mkdir())
    (target / "kept").touch()
    with pytest.raises(FileNotFoundError, match="nothing was written"):
        write_directory(str(target), lambda path: None)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "kept").exists()


def test_filesystems_of_uris(tmp_path: Path) -> None:
    from pyarrow import fs

    for uri in (str(tmp_path), f"file://{tmp_path}"):
        filesystem, path = filesystem_of(uri)
        assert path == str(tmp_path)
        assert isinstance(arrow_filesystem(filesystem), fs.LocalFileSystem)
    filesystem, path = filesystem_of("memory://a/b")
    assert (path, filesystem.protocol) == ("/a/b", "memory")
    assert isinstance(arrow_filesystem(filesystem), fs.PyFileSystem)
    native = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    filesystem, path = filesystem_of("a/b", native)
    assert (path, arrow_filesystem(filesystem)) == ("a/b", native)


@pytest.mark.parametrize(
    ("uri", "module", "extra"),
    [("s3a://bucket/a", "s3fs", "s3"), ("viewfs://name/a", "hdfs_native", "hdfs")],
)
def test_a_missing_package_is_named_with_its_extra(uri: str, module: str, extra: str) -> None:
    """In a process of its own, as fsspec keeps what it has imported."""
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from tensorsparkml.storage import filesystem_of; filesystem_of({uri!r})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"MissingPackageError: cannot open {uri}: {module.replace('_', '-')} is not" in (
        result.stderr
    )
    assert f"pip install 'tensorsparkml[{extra}]'" in result.stderr


def test_an_unknown_scheme() -> None:
    with pytest.raises(ConfigurationError, match="cannot open nosuch://x/y: Protocol not known"):
        filesystem_of("nosuch://x/y")
