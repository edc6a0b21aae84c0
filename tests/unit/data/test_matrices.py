"""Many columns of numbers become one array."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.names import needed_columns
from tensorsparkml.data.columns.options import Column, Matrix, selected
from tensorsparkml.data.memory.aligned import is_aligned
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    MissingColumnError,
    NullValueError,
    RaggedColumnError,
    UnsupportedColumnError,
)


def rows(**columns: Any) -> LocatedBatch:
    return LocatedBatch(pa.record_batch(columns), Origin(partition=3, row=100))


def cut(located: LocatedBatch, start: int, count: int) -> LocatedBatch:
    return LocatedBatch(located.batch.slice(start, count), located.origin.moved(start))


def assembled(matrix: Matrix, *slices: LocatedBatch, **convert: Column) -> np.ndarray:
    array = Assembler([matrix], convert, slices[0]).assemble(slices)[matrix]
    assert isinstance(array, np.ndarray)
    assert array.flags.c_contiguous and array.flags.writeable and is_aligned(array)
    return array


MIXED = rows(
    tiny=pa.array([1, -2, 3], pa.int8()),
    flag=pa.array([True, False, True]),
    price=pa.array([Decimal("1.10"), Decimal("-2.25"), Decimal("0.00")], pa.decimal128(10, 2)),
    ratio=pa.array([0.5, 1.5, 2.5], pa.float32()),
    pair=pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    other=pa.array([7, 8, 9], pa.int8()),
    person=pa.array([{"age": 30, "size": 1.5}, {"age": 31, "size": 2.5}, {"age": 32, "size": 3.5}]),
    name=pa.array(["a", "b", "c"]),
    day=pa.array([1, 2, 3], pa.date32()),
    packed=pa.array([b"\x01\x02", b"\x03\x04", b"\x05\x06"]),
)
EXPECTED = {
    "tiny": [[1], [-2], [3]],
    "flag": [[1], [0], [1]],
    "price": [[1.10], [-2.25], [0.0]],
    "ratio": [[0.5], [1.5], [2.5]],
    "pair": [[1, 2], [3, 4], [5, 6]],
    "other": [[7], [8], [9]],
    "person.age": [[30], [31], [32]],
    "person.size": [[1.5], [2.5], [3.5]],
}


@given(st.permutations(list(EXPECTED)), st.integers(1, len(EXPECTED)), st.integers(1, 3))
def test_columns_of_all_numbers_stand_in_their_order(
    names: list[str], count: int, border: int
) -> None:
    names = names[:count]
    array = assembled(Matrix(names), cut(MIXED, 0, border), cut(MIXED, border, 3 - border))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(
        array, np.concatenate([np.array(EXPECTED[name]) for name in names], 1).astype(np.float32)
    )


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64(), pa.int16()])
def test_many_columns_of_one_type(type_: pa.DataType) -> None:
    values = np.arange(40 * 300).reshape(40, 300) % 1000
    located = rows(**{f"f{i}": pa.array(values[:, i], type_) for i in range(300)})
    wide = cut(located, 5, 30)
    np.testing.assert_array_equal(assembled(Matrix("f*"), wide), values[5:35])
    backwards = Matrix([f"f{i}" for i in reversed(range(300))], "float64")
    np.testing.assert_array_equal(assembled(backwards, wide, located)[:30], values[5:35, ::-1])


def test_a_pattern_stands_for_the_names_that_match_in_the_order_of_the_rows() -> None:
    located = rows(f2=[1.0], g=[2.0], f1=[3.0])
    assembler = Assembler([Matrix("f?")], {}, located)
    assert assembler.specs[Matrix("f?")].columns == ("f2", "f1")
    assert assembled(Matrix("f?"), located).tolist() == [[1.0, 3.0]]
    assert needed_columns(located.batch.schema, [Matrix("f?"), "g"], {}) == ["f2", "f1", "g"]
    with pytest.raises(MissingColumnError, match=r"name like 'h\*'; it has f2, g, f1"):
        assembled(Matrix("h*"), located)


def test_nulls_are_named() -> None:
    located = rows(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, None], c=[1.0, None, 3.0])
    with pytest.raises(NullValueError, match="'b' of type double is null in row 102 of partition"):
        assembled(Matrix(["a", "b", "c"]), cut(located, 0, 1), cut(located, 1, 2))
    inside = rows(a=[[1, 2], [3, None]], b=[[1, 2], [3, 4]])
    with pytest.raises(NullValueError, match=r"'a'.* null element \[1\] in row 101 of partition 3"):
        assembled(Matrix(["b", "a"]), inside)


def test_nulls_are_filled() -> None:
    located = rows(
        a=[1.0, None], b=[None, 2.0], n=pa.array([None, 4], pa.int32()), s=[None, {"x": True}]
    )
    convert = {"b": Column(fill=-2.5)}
    array = assembled(Matrix(["a", "b", "n", "s.x"], fill=-1), located, **convert)
    assert array.tolist() == [[1.0, -2.5, -1.0, -1.0], [-1.0, 2.0, 4.0, 1.0]]
    lost = assembled(Matrix(["a", "b"], fill=float("nan")), located)
    np.testing.assert_array_equal(lost, [[1.0, np.nan], [np.nan, 2.0]])


def test_masks_and_options_of_single_columns_hold() -> None:
    located = rows(a=[1.0, None], packed=[b"\x01\x02", b"\x03\x04"])
    convert = {"a": Column(mask=True), "packed": Column(dtype="uint8")}
    array = assembled(Matrix(["a_mask", "packed", "a"]), located, **convert)
    assert array.tolist() == [[1, 1, 2, 1], [0, 3, 4, 0]]


def test_integers_and_booleans_can_be_kept() -> None:
    assert assembled(Matrix(["tiny", "other"], "int64"), MIXED).dtype == np.int64
    assert assembled(Matrix(["flag"], "bool"), MIXED).tolist() == [[True], [False], [True]]
    with pytest.raises(UnsupportedColumnError, match="'ratio' of type float has elements of dtype"):
        assembled(Matrix(["tiny", "ratio"], "int64"), MIXED)
    with pytest.raises(UnsupportedColumnError, match=r"'packed'.*uint16.*int8"):
        assembled(Matrix(["packed"], "int8"), MIXED, packed=Column(dtype="uint16"))


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("name", UnsupportedColumnError, "'name' of type string does not hold numbers"),
        ("packed", UnsupportedColumnError, "'packed' of type binary does not hold numbers"),
        ("day", UnsupportedColumnError, r"'day' of type date32\[day\] does not hold numbers"),
        ("person", UnsupportedColumnError, "struct.*name its fields: 'person.age', 'person.size'"),
        ("none", MissingColumnError, "no column 'none' in the feed; it has tiny, flag"),
        ("person.none", MissingColumnError, "no column 'person.none'"),
    ],
)
def test_other_columns_are_refused(column: str, error: type[DataError], message: str) -> None:
    with pytest.raises(error, match=message):
        assembled(Matrix(["tiny", column]), MIXED)


def test_lists_of_any_length_are_refused() -> None:
    located = rows(a=[[1.0], [1.0, 2.0]])
    with pytest.raises(RaggedColumnError, match=r"'a'.*list of length 2 in row 101 of partition 3"):
        assembled(Matrix(["a"]), located)
    with pytest.raises(UnsupportedColumnError, match=r"'a'.*lists of any length"):
        assembled(Matrix(["a"]), located, a=Column(shape=(None,)))


def test_a_batch_of_other_types_is_refused() -> None:
    matrix = Matrix(["a", "b"])
    assembler = Assembler([matrix], {}, rows(a=[1.0], b=[2.0]))
    with pytest.raises(UnsupportedColumnError, match="'b' is of type int64, but double was"):
        assembler.assemble([rows(a=[1.0], b=[2])])
    with pytest.raises(UnsupportedColumnError, match="'a' is of type int64, but double was"):
        assembler.assemble([rows(a=[1], b=[2])])


def test_a_batch_without_rows_has_the_shape() -> None:
    assembler = Assembler([Matrix(["tiny", "pair"])], {}, MIXED)
    [array] = assembler.assemble([]).values()
    assert (array.shape, array.dtype) == ((0, 3), np.float32)
    [spec] = assembler.specs.values()
    assert (spec.shape, spec.dtype, spec.ragged_rank) == ((3,), np.float32, 0)


def test_lists_without_elements_are_no_columns() -> None:
    located = rows(a=pa.array([[], []], pa.list_(pa.float32())), b=[1.0, 2.0])
    assert assembled(Matrix(["a", "b"]), located).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one column"),
        (("",), "needs column names"),
        ((["a", "b", "a"],), "has column 'a' twice"),
        (([1],), "takes column names, not 1"),
        ((None,), "takes column names, not None"),
        ((["a"], "float31"), "must be a NumPy dtype, not 'float31'"),
        ((["a"], "str"), "must be numeric"),
        ((["a"], None), "must be numeric"),
        ((["a"], "float32", "x"), "fill of a tsm.Matrix must be a number, not 'x'"),
    ],
)
def test_what_cannot_be_a_matrix_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Matrix(*arguments)


def test_matrices_are_equal_where_they_are_the_same() -> None:
    assert Matrix(["a", "b"]) == Matrix(("a", "b"), np.float32)
    assert len({Matrix(["a"]), Matrix(["a"]), Matrix(["a"], fill=0)}) == 2
    assert str(Matrix(list("abcd"))) == "tsm.Matrix(['a', 'b', 'c', ...])"


def test_arrays_get_the_names_that_a_mapping_has() -> None:
    columns = {"x": Matrix(["tiny", "flag"]), "text": "name", "again": "tiny"}
    arrays = Assembler(selected(columns), {}, MIXED).assemble([MIXED])
    assert list(arrays) == ["x", "text", "again"]
    assert arrays["x"].tolist() == [[1, 1], [-2, 0], [3, 1]]
    assert arrays["text"].tolist() == [b"a", b"b", b"c"]
    assert selected(["a", "b"]) == {"a": "a", "b": "b"}
    assert selected(None) is None


@pytest.mark.parametrize("columns", [Matrix("f*"), ["a", Matrix("f*")]])
def test_a_matrix_of_a_batch_needs_a_name(columns: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"needs a name.*columns=\{'x': tsm.Matrix"):
        selected(columns)


def test_columns_that_a_matrix_holds_are_not_single() -> None:
    assembler = Assembler(None, {}, MIXED, also=[Matrix(["tiny", "flag"]), "name"])
    assert "tiny" not in assembler.single and "ratio" in assembler.single
    assert "name" in assembler.single
