"""TFRecord files, counted without TensorFlow."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from tensorsparkml.data.files.listing import find_files
from tensorsparkml.data.files.tfrecord import TFRecordFiles, count_records
from tensorsparkml.errors import DataError
from tfrecord_bytes import framed


def files_at(uri: str, copies: Path) -> TFRecordFiles:
    return TFRecordFiles(find_files([uri]), 0, 1, lambda value: [value], copies)


PLAIN: Callable[[bytes], bytes] = bytes


@pytest.mark.parametrize("packed", [PLAIN, gzip.compress], ids=["plain", "gzip"])
def test_records_are_counted(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    (tmp_path / "a").write_bytes(packed(framed(b"first", b"", b"x" * 3_000_000)))
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "c").write_bytes(packed(framed(b"more")))
    files = files_at(str(tmp_path), tmp_path / "copies")
    assert [(part.file, part.rows) for part in files.parts] == [(0, 3), (1, 0), (2, 1)]
    assert (files.rows, files.share_rows) == (4, 4)
    assert files.first_record() == b"first"
    assert files.local_path(2) == str(tmp_path / "c")
    assert files.compression(2) == ("GZIP" if packed is gzip.compress else "")


def test_a_length_that_looks_like_gzip(tmp_path: Path) -> None:
    data = b"x" * 0x8B1F
    (tmp_path / "a").write_bytes(framed(data, data))
    assert count_records(str(tmp_path / "a")) == 2


@pytest.mark.parametrize("packed", [PLAIN, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "corrupt at record 2 .*, at byte 38: it ends within a record of"),
        (lambda data: data[:45], "corrupt at record 2 .*it ends within the length of a record"),
        (lambda data: data[:19] + b"\xff" + data[20:], "corrupt at record 1 .*wrong checksum"),
        (lambda data: b"text" + data, "not a TFRecord file: the length of a record has a wrong"),
    ],
)
def test_damaged_files(
    tmp_path: Path,
    packed: Callable[[bytes], bytes],
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    whole = framed(b"abc", b"def", b"ghi")
    assert len(whole) == 3 * 19
    (tmp_path / "bad.tfrecord").write_bytes(packed(damage(whole)))
    with pytest.raises(DataError, match=rf"bad.tfrecord is {message}"):
        files_at(str(tmp_path), tmp_path / "copies")


def test_a_file_far_away_is_copied_once(tmp_path: Path) -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/records/a", framed(b"one", b"two"))
    try:
        files = files_at("memory://records", tmp_path / "copies")
        path = files.local_path(0)
        assert Path(path).parent == tmp_path / "copies"
        assert files.rows == 2
    finally:
        filesystem.rm("/records", recursive=True)
    assert files.local_path(0) == path  # though it is not there any more
    assert [each.suffix for each in (tmp_path / "copies").iterdir()] == [".tfrecord"]


def test_a_file_that_has_changed_is_copied_again(tmp_path: Path) -> None:
    """Memory's files say when they were made; another filesystem has other files."""
    filesystem = fsspec.filesystem("memory")
    try:
        filesystem.pipe("/records/a", framed(b"one", b"two"))
        first = files_at("memory://records", tmp_path / "copies")
        filesystem.pipe("/records/a", framed(b"another"))
        assert files_at("memory://records", tmp_path / "copies").rows == 1
        assert first.rows == 2
    finally:
        filesystem.rm("/records", recursive=True)


def test_no_records(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match="has no records"):
        files_at(str(tmp_path), tmp_path).first_record()
