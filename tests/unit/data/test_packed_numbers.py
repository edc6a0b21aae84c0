"""Binaries become the numbers that lie in them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conversion import convert, mask

from tensorsparkml.errors import (
    NullValueError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)

BINARIES = [pa.binary(), pa.large_binary()]


@given(
    type_=st.sampled_from(BINARIES),
    dtype=st.sampled_from(["uint8", "int8", "int16", "int64", "float16", "float32", "float64"]),
    rows=st.integers(1, 6),
    count=st.integers(0, 5),
    data=st.data(),
)
def test_what_was_packed_is_found_again(
    type_: pa.DataType, dtype: str, rows: int, count: int, data: st.DataObject
) -> None:
    size = np.dtype(dtype).itemsize * count
    packed = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=rows))
    start = data.draw(st.integers(0, len(packed) - 1))
    found = convert(pa.array(packed, type_).slice(start), dtype=dtype)
    assert found.shape == (len(packed) - start, count)
    assert [row.tobytes() for row in found] == packed[start:]


@pytest.mark.parametrize("type_", BINARIES, ids=str)
def test_a_shape_divides_the_numbers(type_: pa.DataType) -> None:
    images = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
    column = pa.array([image.tobytes() for image in images], type_)
    assert (convert(column, dtype="uint8", shape=(2, 2, 3)) == images).all()
    found = convert(column.slice(1), dtype="uint8")
    assert found.ctypes.data == column.buffers()[2].address + 12  # nothing is copied


def test_lists_of_binaries() -> None:
    column = pa.array([[b"\0\1", b"\2\3"], [b"\4\5", b"\6\7"]])
    expected = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert convert(column, dtype="uint8").tolist() == expected
    ragged = convert(column, (None, 2), dtype="uint8")
    assert ragged.values.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_without_a_dtype_they_stay_bytes() -> None:
    assert convert(pa.array([b"\0\1"])).tolist() == [b"\0\1"]


@pytest.mark.parametrize("wrong", [b"", b"\0\1\2", b"\0\1\2\3\4"])
def test_another_size_is_refused(wrong: bytes) -> None:
    column = pa.array([b"\0\1\2\3", b"\4\5\6\7", wrong])
    with pytest.raises(RaggedColumnError) as caught:
        convert(column.slice(1), dtype="int16")
    text = caught.value.message
    assert "'x'" in text and "row 101 of partition 3" in text
    assert f"a binary of {len(wrong)} bytes" in text
    assert "need 4 bytes, for 2 numbers of dtype int16" in text


def test_a_first_row_that_holds_no_whole_number_is_refused() -> None:
    with pytest.raises(RaggedColumnError, match=r"5 bytes in row 100 .* need 4 bytes"):
        convert(pa.array([b"12345"]), dtype="float32")


def test_nulls() -> None:
    column = pa.array([None, b"\0\1", None])
    with pytest.raises(NullValueError, match="row 100 of"):
        convert(column, dtype="uint8")
    assert convert(column, dtype="uint8", fill=7).tolist() == [[7, 7], [0, 1], [7, 7]]
    assert convert(column.slice(0, 1), dtype="uint8", fill=7, shape=(2,)).tolist() == [[7, 7]]


def test_masks() -> None:
    column = pa.array([b"\0\1", None])
    assert mask(column, dtype="uint8").tolist() == [[True, True], [False, False]]
    assert convert(column, dtype="uint8", mask=True).tolist() == [[0, 1], [0, 0]]


def test_a_shape_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="4 values, but the shape"):
        convert(pa.array([b"1234"]), dtype="uint8", shape=(2, 3))


@pytest.mark.parametrize("dtype", ["bool", ">f4", "complex64", "S4", "datetime64[s]"])
def test_what_are_no_numbers_of_this_machine(dtype: str) -> None:
    with pytest.raises(UnsupportedColumnError, match="'x'"):
        convert(pa.array([b"12345678"]), dtype=dtype)
