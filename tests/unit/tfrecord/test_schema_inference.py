"""Schemas of files, without Spark."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from tensorsparkml.errors import DataError
from tensorsparkml.tfrecord.codec.encode import encode_records
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.source.files import files_of
from tensorsparkml.tfrecord.source.inference import infer_schema
from tensorsparkml.tfrecord.source.options import parse_options
from tfrecord_bytes import framed

N = FeatureColumn("n", Kind.INT64, 1)
FLOATS = FeatureColumn("f", Kind.FLOAT, 1)
BYTES = FeatureColumn("b", Kind.BYTES, 1)


def record(
    n: list[int] | None, f: list[float] | None = None, b: list[bytes] | None = None
) -> bytes:
    arrays = [pa.array([value], column.type) for value, column in ((n, N), (f, FLOATS), (b, BYTES))]
    return bytes(encode_records([N, FLOATS, BYTES], arrays)[0].as_py())


def inferred(folder: Path, **options: str) -> str:
    given = parse_options({"path": str(folder), **options})
    return infer_schema(files_of(given), given).simpleString()


def test_what_records_have_together(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(framed(record([1], None, [b"x"]), record([2], [])))
    assert inferred(tmp_path) == "struct<b:string,f:void,n:bigint>"
    (tmp_path / "b").write_bytes(gzip.compress(framed(record([1, 2], [1.5], [b"\xff"]))))
    assert inferred(tmp_path) == "struct<b:binary,f:float,n:array<bigint>>"
    assert inferred(tmp_path, samplingRatio="0.5") == "struct<b:string,f:void,n:bigint>"
    assert inferred(tmp_path, inferBytes="1") == "struct<b:string,f:void,n:bigint>"
    assert inferred(tmp_path, recordType="ByteArray") == "struct<byteArray:binary>"


def test_bytes_that_are_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(framed(record(None, None, [b"x"])))
    assert inferred(tmp_path, inferStrings="false") == "struct<b:binary>"
    assert inferred(tmp_path, binaryColumns="a,b") == "struct<b:binary>"


def test_features_of_several_kinds(tmp_path: Path) -> None:
    other = record([1]).replace(b"\x1a\x03\x0a\x01\x01", b"\x0a\x03\x0a\x01x")
    (tmp_path / "a").write_bytes(framed(record([1]), other))
    with pytest.raises(DataError, match=r"feature 'n' has .* in .*/a at byte .*, and .* in .*/a"):
        inferred(tmp_path)


def test_malformed_records_show_nothing(tmp_path: Path) -> None:
    wrong = bytearray(framed(record([1, 2], [1.0])))
    wrong[-1] ^= 1
    bad = record([1, 2])[:-1]
    (tmp_path / "a").write_bytes(
        bytes(wrong) + framed(bad, record([1])) + b"x" + framed(record([2]))
    )
    with pytest.raises(DataError, match="a has a malformed record at byte 0: the checksum of its"):
        inferred(tmp_path)
    assert inferred(tmp_path, mode="DROPMALFORMED") == "struct<n:bigint>"
    assert inferred(tmp_path, mode="PERMISSIVE") == "struct<n:bigint,_corrupt_record:binary>"


def test_nothing_to_infer_from(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DataError, match=r"there is no record with a feature in .*; give a schema"):
        inferred(tmp_path)
