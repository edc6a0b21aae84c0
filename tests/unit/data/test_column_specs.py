"""What a column becomes, from its type and what the user asks for, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.conversion import (
    EMPTY_SHAPES,
    NUMBERS,
    assert_refused,
    where,
)

from tensorsparkml.data.columns.convert import ColumnSpec, column_spec, to_numpy
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.columns.types import check_type
from tensorsparkml.errors import (
    ShapeMismatchError,
    UnsupportedColumnError,
)


@pytest.mark.parametrize(
    ("type_", "sample", "shape", "expected"),
    [
        (pa.float32(), None, None, ()),
        (pa.float32(), None, (1,), (1,)),
        (pa.list_(pa.int8(), 3), None, None, (3,)),
        (pa.list_(pa.list_(pa.int8(), 3), 2), None, None, (2, 3)),
        (pa.list_(pa.int8()), [[1, 2]], None, (2,)),
        (pa.list_(pa.int8()), [None, [1, 2], None], None, (2,)),
        (pa.list_(pa.int8()), None, (4, 2), (4, 2)),
        (pa.list_(pa.int8()), [], (4, 2), (4, 2)),
        (pa.list_(pa.int8()), [None], (4, 2), (4, 2)),
        (pa.list_(pa.list_(pa.int8())), [[None, [1]], [[2], [3]]], None, (2, 1)),
        (pa.list_(pa.list_(pa.int8(), 3)), [[[1, 2, 3]]], None, (1, 3)),
    ],
)
def test_column_spec_shape(
    type_: pa.DataType, sample: list[Any] | None, shape: Any, expected: tuple[int, ...]
) -> None:
    rows = None if sample is None else pa.array(sample, type_)
    assert column_spec(pa.field("x", type_), rows, Column(shape=shape)).shape == expected


def test_column_spec_is_a_plain_value() -> None:
    spec = column_spec(pa.field("x", pa.string()), None, Column())
    assert spec == ColumnSpec("x", pa.string(), np.dtype(object), ())
    assert pickle.loads(pickle.dumps(spec)) == spec
    numpy_sizes: Any = (np.int64(2), np.int32(3))
    sizes = column_spec(pa.field("x", pa.list_(pa.int8())), None, Column(numpy_sizes)).shape
    assert [type(size) for size in sizes] == [int, int]


def test_unknown_length_outside_of_an_empty_list() -> None:
    field = pa.field("x", pa.list_(pa.list_(pa.int8(), 0)))
    assert_refused(
        UnsupportedColumnError, lambda: column_spec(field, None, Column()), "unknown length"
    )


@pytest.mark.parametrize("sample", [None, [], [None, None]])
def test_unknown_length(sample: list[Any] | None) -> None:
    type_ = pa.list_(pa.float32())
    rows = None if sample is None else pa.array(sample, type_)
    assert_refused(
        UnsupportedColumnError,
        lambda: column_spec(pa.field("pixels", type_), rows, Column()),
        "'pixels'",
        "list<item: float>",
        "unknown length",
        "Give the column's shape",
        "tsm.Column(shape=(None,))",
    )


@pytest.mark.parametrize(
    ("sample", "type_", "shape", "parts"),
    [
        ([[0] * 784], pa.list_(pa.int8()), (28, 29), ["lists of 784 values", "(28, 29) needs 812"]),
        ([[0] * 6], pa.list_(pa.int8(), 6), (7,), ["lists of 6 values", "(7,) needs 7"]),
        (None, pa.list_(pa.int8(), 6), (7,), ["lists of 6 values", "(7,) needs 7"]),
        ([[[1, 2]]], pa.list_(pa.list_(pa.int8())), (2, 1), ["1 x 2 values", "(2, 1) needs 2 x 1"]),
        (None, pa.list_(pa.list_(pa.int8(), 3)), (2, 2), ["? x 3 values", "needs 2 x 2"]),
        (
            [[[1, 2]]],
            pa.list_(pa.list_(pa.int8())),
            (2,),
            ["lists of depth 2", "(2,) has depth 1", "flatten"],
        ),
        ([[1]], pa.list_(pa.int8()), (), ["lists of depth 1", "() has depth 0"]),
        (None, pa.float32(), (2,), ["holds 1 value per row", "(2,) needs 2"]),
        (None, pa.string(), (0,), ["holds 1 value per row", "(0,) needs 0"]),
        (None, pa.list_(pa.int8()), (None, 28), ["(None, 28)", "the batch dimension"]),
    ],
)
def test_shape_mismatch(sample: Any, type_: pa.DataType, shape: Any, parts: list[str]) -> None:
    rows = None if sample is None else pa.array(sample, type_)
    field = pa.field("x", type_)
    assert_refused(
        ShapeMismatchError, lambda: column_spec(field, rows, Column(shape)), "'x'", *parts
    )


# Refused types


VARIANT = pa.struct(
    [
        pa.field("value", pa.binary(), nullable=False),
        pa.field("metadata", pa.binary(), nullable=False, metadata={"variant": "true"}),
    ]
)
REFUSED = [
    (
        pa.map_(pa.string(), pa.int32()),
        ["map<string, int32", "element_at", "map_values", "explode"],
    ),
    (pa.struct([]), ["a struct without fields"]),
    (VARIANT, ["a variant", "variant_get(col, '$.field', 'double')"]),
    (pa.list_(VARIANT), ["a variant"]),
    (pa.dense_union([pa.field("a", pa.int32())]), ["union", "cast it to a single type"]),
    (pa.month_day_nano_interval(), ["interval of months", "extract(YEAR FROM col)"]),
    (pa.null(), ["null", "only nulls", "lit(0.0)"]),
    (pa.dictionary(pa.int8(), pa.string()), ["dictionary<", "dictionary_decode"]),
    (pa.date64(), ["date64", "supported types are"]),
    (pa.string_view(), ["string_view", "supported types are"]),
    (pa.binary(4), ["fixed_size_binary[4]", "supported types are"]),
    (pa.list_view(pa.int8()), ["list_view<", "supported types are"]),
    (pa.list_(pa.struct([("a", pa.int32())])), ["elements are structs", "transform", "e['a']"]),
    (pa.list_(pa.map_(pa.string(), pa.int8())), ["a map has no fixed shape"]),
    (pa.list_(pa.null()), ["only nulls"]),
]


@pytest.mark.parametrize(("type_", "parts"), REFUSED, ids=lambda value: str(value)[:40])
def test_refused_types(type_: pa.DataType, parts: list[str]) -> None:
    field = pa.field("my col", type_)
    message = assert_refused(
        UnsupportedColumnError,
        lambda: check_type(field),
        "Column 'my col' of type ",
        "cannot become a tensor",
        *parts,
    )
    assert message.endswith(".")
    assert message == assert_refused(
        UnsupportedColumnError, lambda: column_spec(field, None, Column((2, 2)))
    )


def test_a_long_type_is_cut() -> None:
    field = pa.field(
        "x", pa.map_(pa.string(), pa.struct([(f"f{n}", pa.int8()) for n in range(999)]))
    )
    assert len(assert_refused(UnsupportedColumnError, lambda: check_type(field), "...")) < 400


@pytest.mark.parametrize("type_", [*EMPTY_SHAPES, *NUMBERS], ids=str)
def test_supported_types_pass(type_: pa.DataType) -> None:
    check_type(pa.field("x", type_))


def test_a_batch_of_another_type() -> None:
    spec = column_spec(pa.field("x", pa.float32()), None, Column())
    assert_refused(
        UnsupportedColumnError,
        lambda: to_numpy(pa.array([1.0]), spec, where),
        "'x'",
        "double",
        "float was expected",
        "one schema",
    )


def test_neither_spark_nor_tensorflow_is_imported() -> None:
    code = (
        "import sys, tensorsparkml.data.columns.convert\n"
        "print([name for name in ('pyspark', 'tensorflow', 'pandas') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
