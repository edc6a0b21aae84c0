"""Values of features to the types of columns, and back."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pytest

from tensorsparkml.errors import NullValueError, UnsupportedColumnError
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.schema.conversions import feature_column, to_column, to_feature

UTC = datetime.UTC
MOMENT = datetime.datetime(2026, 11, 28, 12, 30, 0, 123456, tzinfo=UTC)
BOTH_WAYS: list[tuple[pa.DataType, Kind, list[Any]]] = [
    (pa.int8(), Kind.INT64, [-128, 127, None]),
    (pa.int16(), Kind.INT64, [-(2**15), None]),
    (pa.int32(), Kind.INT64, [2**31 - 1]),
    (pa.int64(), Kind.INT64, [2**63 - 1, -(2**63), None]),
    (pa.bool_(), Kind.INT64, [True, False, None]),
    (pa.timestamp("us", "UTC"), Kind.INT64, [MOMENT, None]),
    (pa.timestamp("us"), Kind.INT64, [MOMENT.replace(tzinfo=None)]),
    (pa.float32(), Kind.FLOAT, [1.5, float("inf"), None]),
    (pa.float64(), Kind.FLOAT, [1.5, -2.25, None]),
    (pa.decimal128(10, 2), Kind.FLOAT, [decimal.Decimal("-1.25"), None]),
    (pa.string(), Kind.BYTES, ["", "ä", None]),
    (pa.binary(), Kind.BYTES, [b"\xff", b"", None]),
    (pa.list_(pa.int32()), Kind.INT64, [[1, 2], [], None]),
    (pa.list_(pa.field("element", pa.string(), nullable=False)), Kind.BYTES, [["a", "b"], None]),
    (pa.list_(pa.list_(pa.float64())), Kind.FLOAT, [[[0.5], []], [], None]),
]


@pytest.mark.parametrize(("type_", "kind", "values"), BOTH_WAYS, ids=lambda each: str(each)[:30])
def test_values_come_back(type_: pa.DataType, kind: Kind, values: list[Any]) -> None:
    column = feature_column(pa.field("c", type_), sequences=True)
    depth = str(type_).count("list<")
    assert column == FeatureColumn("c", kind, depth, steps=depth == 2)
    array = pa.array([*values, *values], type_)
    for part in (array, array.slice(1)):
        feature = to_feature(part, column)
        feature.validate(full=True)
        assert feature.type == column.type
        again = to_column(feature, type_, "c")
        again.array.validate(full=True)
        assert (again.array.type, again.array.to_pylist()) == (type_, part.to_pylist())
        assert not len(again.wrong)


@pytest.mark.parametrize(
    ("found", "type_", "wrong", "message"),
    [
        (pa.array([1, 128, None, -129]), pa.int8(), [1, 3], "'c' has a value outside"),
        (pa.array([0, 2, -1]), pa.bool_(), [1, 2], "'c' has a value that is no boolean"),
        (pa.array([b"a", b"\xff", None]), pa.string(), [1], "'c' has bytes that are not UTF-8"),
        (
            pa.array([1.0, 1e9, float("nan"), None], pa.float32()),
            pa.decimal128(4, 1),
            [1, 2],
            "'c' has a value that does not fit into decimal128(4, 1)",
        ),
        (pa.array([[1], [300, 2, 300], None, []]), pa.list_(pa.int8()), [1], "of int8"),
        (pa.array([[[1], [300]], [[2]]]), pa.list_(pa.list_(pa.int8())), [0], "of int8"),
    ],
)
def test_rows_whose_values_do_not_fit(
    found: pa.Array, type_: pa.DataType, wrong: list[int], message: str
) -> None:
    converted = to_column(found, type_, "c")
    assert converted.wrong.tolist() == wrong
    assert message in converted.reason
    assert converted.array.type == type_


@pytest.mark.parametrize(
    ("type_", "sequences", "message"),
    [
        (pa.map_(pa.string(), pa.int64()), True, "'c' has the type map<string, int64>, which"),
        (pa.date32(), False, "has the type date32"),
        (pa.struct([("a", pa.int64())]), False, "which TFRecords do not hold"),
        (pa.list_(pa.list_(pa.list_(pa.int64()))), True, "which TFRecords do not hold"),
        (pa.list_(pa.list_(pa.int64())), False, "set the option recordType to SequenceExample"),
    ],
)
def test_types_that_no_feature_has(type_: pa.DataType, sequences: bool, message: str) -> None:
    with pytest.raises(UnsupportedColumnError, match=message):
        feature_column(pa.field("c", type_), sequences=sequences)


def test_a_null_within_an_array_has_no_place() -> None:
    with pytest.raises(NullValueError, match="'c' has a null within an array"):
        to_feature(pa.array([[1, None]]), FeatureColumn("c", Kind.INT64, 1))


def test_values_below_a_null_do_not_count() -> None:
    values = pa.array([1, None, 3])
    array = pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3]), values, mask=pa.array([False, True, False])
    )
    found = to_feature(array, FeatureColumn("c", Kind.INT64, 1))
    assert found.to_pylist() == [[1], None, [3]]
