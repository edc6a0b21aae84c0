"""Slices of record batches become one array per column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.names import needed_columns
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.errors import (
    ConfigurationError,
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


# Structs, masks, and names of what is inside

PEOPLE = rows(
    id=pa.array([1, 2, 3, 4]),
    person=pa.array(
        [
            {"age": 30, "name": {"first": "a", "tokens": [1, 2]}},
            {"age": None, "name": {"first": "b", "tokens": [3]}},
            None,
            {"age": 50, "name": None},
        ],
        pa.struct(
            [
                ("age", pa.int32()),
                ("name", pa.struct([("first", pa.string()), ("tokens", pa.list_(pa.int64()))])),
            ]
        ),
    ),
)
FILLED = {
    "person.age": Column(fill=-1, mask=True, dtype="float32"),
    "person.name.first": Column(fill="?"),
    "person.name.tokens": Column(shape=(None,), fill=0),
}


def test_structs_become_dicts() -> None:
    assembler = Assembler(None, FILLED, PEOPLE)
    person = assembler.assemble([cut(PEOPLE, 0, 1), cut(PEOPLE, 1, 3)])["person"]
    assert list(person) == list(assembler.specs["person"]) == ["age", "age_mask", "name"]
    assert person["age"].tolist() == [30.0, -1.0, -1.0, 50.0]
    assert person["age"].dtype == np.float32
    assert person["age_mask"].tolist() == [True, False, False, True]
    assert person["name"]["first"].tolist() == [b"a", b"b", b"?", b"?"]
    values, [splits] = person["name"]["tokens"]
    assert (values.tolist(), splits.tolist()) == ([1, 2, 3], [0, 2, 3, 3, 3])


def test_no_slices_give_empty_arrays_of_everything() -> None:
    person = Assembler(None, FILLED, PEOPLE).assemble([])["person"]
    assert person["age"].shape == person["age_mask"].shape == (0,)
    values, [splits] = person["name"]["tokens"]
    assert (len(values), splits.tolist()) == (0, [0])


def test_fields_and_masks_can_be_named() -> None:
    names = ["person.age_mask", "person.name.first", "id"]
    arrays = Assembler(names, FILLED, PEOPLE).assemble([cut(PEOPLE, 1, 2)])
    assert list(arrays) == names
    assert arrays["person.age_mask"].tolist() == [False, False]
    assert arrays["person.name.first"].tolist() == [b"b", b"?"]
    assert list(Assembler(["person.name"], FILLED, PEOPLE).specs["person.name"]) == [
        "first",
        "tokens",
    ]


def test_all_columns_and_a_field_of_one() -> None:
    specs = Assembler(None, FILLED, PEOPLE, also=["person.age", "id"]).specs
    assert list(specs) == ["id", "person", "person.age"]
    assert specs["person.age"] == specs["person"]["age"]


def test_a_column_whose_own_name_has_a_dot_comes_first() -> None:
    located = rows(**{"a": [{"b": 1}], "a.b": [2]})
    assert Assembler(["a.b"], {}, located).assemble([located])["a.b"].tolist() == [2]


def test_masks_of_columns_are_beside_them() -> None:
    located = rows(x=[1.0, None], y=[1, 2])
    convert = {"x": Column(mask=True)}
    arrays = Assembler(None, convert, located).assemble([located])
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "x": [1.0, 0.0],
        "x_mask": [True, False],
        "y": [1, 2],
    }
    assert list(Assembler(["x"], convert, located).specs) == ["x"]
    assert list(Assembler(["x_mask"], convert, located).specs) == ["x_mask"]
    with pytest.raises(MissingColumnError, match="'y_mask'"):
        Assembler(["y_mask"], convert, located)


def test_a_null_struct_is_named_with_its_field_and_row() -> None:
    convert = {"person.age": Column(fill=0)}
    with pytest.raises(NullValueError, match=r"'person.name.first'.* null in row 102 of"):
        Assembler(["person.age", "person.name.first"], convert, PEOPLE).assemble([PEOPLE])


@pytest.mark.parametrize(
    ("convert", "error", "message"),
    [
        ({"person.size": Column()}, MissingColumnError, "'person.size'"),
        ({"id.size": Column()}, MissingColumnError, "'id.size'"),
        ({"person": Column(fill=0)}, ConfigurationError, "'person.age', 'person.name'"),
    ],
)
def test_options_that_cannot_be(
    convert: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Assembler(["id"], convert, PEOPLE)


def test_a_mask_never_hides_a_column() -> None:
    with pytest.raises(ConfigurationError, match="'x_mask', but the feed has a column"):
        Assembler(["x"], {"x": Column(mask=True)}, rows(x=[1], x_mask=[1]))


def test_fields_that_become_no_tensor_matter_only_where_they_are_read() -> None:
    located = rows(
        s=pa.array([{"a": 1, "b": None}], pa.struct([("a", pa.int8()), ("b", pa.null())]))
    )
    assert Assembler(["s.a"], {}, located).assemble([located])["s.a"].tolist() == [1]
    with pytest.raises(UnsupportedColumnError, match=r"'s\.b' of type null"):
        Assembler(["s"], {}, located)


def test_columns_that_are_needed_for_what_is_named() -> None:
    schema = PEOPLE.batch.schema
    assert needed_columns(schema, ["person.age_mask", "person.name"], FILLED) == ["person"]
    assert needed_columns(schema, None, FILLED) == ["id", "person"]
    with pytest.raises(MissingColumnError, match=r"'person\.size'"):
        needed_columns(schema, ["person.size"], FILLED)


def test_columns_of_one_name_are_refused_where_they_are_read() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1])] * 3, names=["x", "x", "y"])
    located = LocatedBatch(batch, ORIGIN)
    assert list(Assembler(["y"], {}, located).specs) == ["y"]
    for columns in (["x"], None):
        with pytest.raises(UnsupportedColumnError, match="several columns named 'x'"):
            Assembler(columns, {}, located)
