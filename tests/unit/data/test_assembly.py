"""Slices of record batches become one array per column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorsparkml.data.assembly import Assembler
from tensorsparkml.data.column_options import Column
from tensorsparkml.data.segments import LocatedBatch, Origin
from tensorsparkml.errors import (
    DataError,
    MissingColumnError,
    NullValueError,
    RaggedColumnError,
    ShapeMismatchError,
    UnsupportedColumnError,
)

X = np.arange(40, dtype=np.float32).reshape(10, 4)
ORIGIN = Origin(partition=3, row=100)


def rows(**columns: pa.Array | list[object]) -> LocatedBatch:
    return LocatedBatch(pa.record_batch(columns), ORIGIN)


def cut(located: LocatedBatch, start: int, count: int) -> LocatedBatch:
    return LocatedBatch(located.batch.slice(start, count), located.origin.moved(start))


SAMPLE = rows(
    x=pa.array(X.tolist(), pa.list_(pa.float32())),
    y=pa.array(range(10), pa.int64()),
    name=pa.array([f"n{i}" for i in range(10)]),
)


def test_all_columns_are_taken_where_none_are_named() -> None:
    arrays = Assembler(None, {}, SAMPLE).assemble([SAMPLE])
    assert list(arrays) == ["x", "y", "name"]
    np.testing.assert_array_equal(arrays["x"], X)
    assert arrays["y"].tolist() == list(range(10))
    assert arrays["name"].tolist() == [f"n{i}".encode() for i in range(10)]


def test_only_the_columns_that_are_named_are_taken_in_their_order() -> None:
    assembler = Assembler(["y", "x"], {"x": Column((2, 2))}, SAMPLE)
    arrays = assembler.assemble([SAMPLE])
    assert list(arrays) == list(assembler.specs) == ["y", "x"]
    np.testing.assert_array_equal(arrays["x"], X.reshape(10, 2, 2))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 10)), max_size=4))
def test_slices_follow_each_other(places: list[tuple[int, int]]) -> None:
    slices = [cut(SAMPLE, start, min(count, 10 - start)) for start, count in places]
    arrays = Assembler(None, {}, SAMPLE).assemble(slices)
    ids = [i for start, count in places for i in range(start, min(start + count, 10))]
    assert arrays["y"].tolist() == ids
    np.testing.assert_array_equal(arrays["x"], X[ids].reshape(-1, 4))
    assert arrays["name"].tolist() == [f"n{i}".encode() for i in ids]
    for name, spec in Assembler(None, {}, SAMPLE).specs.items():
        assert (arrays[name].dtype, arrays[name].shape[1:]) == (spec.dtype, spec.shape)


def test_a_single_slice_is_not_copied() -> None:
    array = Assembler(["y"], {}, SAMPLE).assemble([cut(SAMPLE, 2, 5)])["y"]
    address = SAMPLE.batch.column("y").buffers()[1].address
    assert array.__array_interface__["data"][0] == address + 2 * 8


@pytest.mark.parametrize(
    ("columns", "convert"),
    [(["x", "z"], {}), (["x"], {"z": Column((1,))}), (None, {"z": Column((1,))})],
)
def test_a_column_that_is_missing_is_named_with_those_there_are(
    columns: list[str] | None, convert: dict[str, Column]
) -> None:
    with pytest.raises(MissingColumnError, match=r"'z'.* it has x, y, name"):
        Assembler(columns, convert, SAMPLE)


def test_a_column_that_becomes_no_tensor_matters_only_where_it_is_read() -> None:
    located = rows(x=[1.0], m=pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())))
    assert list(Assembler(["x"], {}, located).specs) == ["x"]
    with pytest.raises(UnsupportedColumnError, match="'m'"):
        Assembler(None, {}, located)


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="'x'"):
        Assembler(["x"], {"x": Column((3, 3))}, SAMPLE)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (NullValueError, [1.0, 2.0, 3.0, None, 5.0, 6.0]),
        (NullValueError, [[1.0], [2.0], [3.0], [None], [5.0], [6.0]]),
        (RaggedColumnError, [[1.0], [2.0], [3.0], [4.0, 4.0], [5.0], [6.0]]),
    ],
    ids=["null", "null element", "ragged"],
)
def test_errors_name_the_row_of_the_partition(kind: type[DataError], column: list[object]) -> None:
    located = rows(x=column)
    assembler = Assembler(None, {}, cut(located, 0, 1))
    for slices in (
        [located],
        [cut(located, 3, 1)],
        [cut(located, 0, 2), cut(cut(located, 2, 4), 1, 2)],
    ):
        with pytest.raises(kind, match=r"'x'.* in row 103 of partition 3\b"):
            assembler.assemble(slices)
    assert len(assembler.assemble([cut(located, 0, 3), cut(located, 4, 2)])["x"]) == 5


def test_a_feed_whose_types_change_is_refused() -> None:
    with pytest.raises(UnsupportedColumnError, match="one schema"):
        Assembler(["y"], {}, SAMPLE).assemble([SAMPLE, rows(y=pa.array([1.5]))])
