"""Which files a URI stands for."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from tensorsparkml.data.files.listing import find_files, partition_types
from tensorsparkml.errors import ConfigurationError, DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.parquet", "a.parquet", "_SUCCESS", ".a.parquet.crc", "_temporary/0/x.parquet",
        ".hidden/x.parquet", "sub/c.parquet",
    ):  # fmt: skip
        path = tmp_path / "table" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("rows")
    return tmp_path / "table"


def names(folder: Path, *uris: str) -> list[str]:
    return [file.path.removeprefix(f"{folder}/") for file in find_files(uris)]


def test_a_folder_is_its_files_without_the_hidden_ones(folder: Path) -> None:
    expected = ["a.parquet", "b.parquet", "sub/c.parquet"]
    assert names(folder, str(folder)) == expected
    assert names(folder, f"file://{folder}/") == expected
    assert [file.size for file in find_files([str(folder)])] == [4, 4, 4]


def test_globs_and_several_uris(folder: Path) -> None:
    assert names(folder, f"{folder}/?.parquet") == ["a.parquet", "b.parquet"]
    assert names(folder, f"{folder}/s*") == ["sub/c.parquet"]
    assert names(folder, f"{folder}/b.parquet", f"{folder}/a.parquet") == ["b.parquet", "a.parquet"]
    # A file that is named counts, whatever its name.
    assert names(folder, f"{folder}/_SUCCESS") == ["_SUCCESS"]


@pytest.mark.parametrize("name", ["nowhere", "nowhere/*.parquet", "_temporary/0/.hidden*"])
def test_nothing_there(folder: Path, name: str) -> None:
    with pytest.raises(DataError, match="there are no files at") as caught:
        find_files([f"{folder}/{name}"])
    assert name in caught.value.message


def test_another_filesystem() -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({"/listing/x=1/a": b"12", "/listing/_SUCCESS": b""})
    try:
        for found in (find_files(["memory://listing"]), find_files(["/listing"], filesystem)):
            assert [(f.path, f.size, f.partition) for f in found] == [
                ("/listing/x=1/a", 2, {"x": "1"})
            ]
    finally:
        filesystem.rm("/listing", recursive=True)


def test_a_pyarrow_filesystem(folder: Path) -> None:
    from pyarrow.fs import LocalFileSystem

    found = find_files([str(folder)], LocalFileSystem())
    assert [Path(file.path).name for file in found] == ["a.parquet", "b.parquet", "c.parquet"]


def test_an_unknown_filesystem() -> None:
    with pytest.raises(ConfigurationError, match="cannot open nosuch://x"):
        find_files(["nosuch://x"])


def test_folders_that_are_columns(tmp_path: Path) -> None:
    for name in ("year=2024/city=Bern", "year=2025/city=S%C3%A3o%20Paulo", "year=2025/_id=1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.parquet").touch()
    (tmp_path / "year=2025/city=__HIVE_DEFAULT_PARTITION__").mkdir()
    (tmp_path / "year=2025/city=__HIVE_DEFAULT_PARTITION__/a.parquet").touch()
    files = find_files([str(tmp_path)])
    assert [file.partition for file in files] == [
        {"year": "2024", "city": "Bern"},
        {"year": "2025", "_id": "1"},
        {"year": "2025", "city": "São Paulo"},
        {"year": "2025", "city": None},
    ]
    with pytest.raises(DataError, match=r"give year=…/city=….*year=…/_id=…"):
        partition_types(files)
    assert partition_types([f for f in files if "city" in f.partition]) == {
        "year": int,
        "city": str,
    }
