"""The folders of rows, and the columns that they make."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import types

from tensorsparkml.data.files.listing import partition_of
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.tfrecord.source.partitions import (
    folder,
    folders_of,
    inferred_type,
    text_of,
    value_of,
)

PARIS = ZoneInfo("Europe/Paris")
IN_UTC, LOCAL = pa.timestamp("us", "UTC"), pa.timestamp("us")


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (7, pa.int32(), "7"),
        (True, pa.bool_(), "true"),
        (1.0, pa.float64(), "1.0"),
        (0.1, pa.float32(), "0.1"),
        (Decimal("1.50"), pa.decimal128(4, 2), "1.50"),
        ("ä b", pa.string(), "ä b"),
        (date(2026, 11, 28), pa.date32(), "2026-11-28"),
        (datetime(2026, 11, 28, 9, 0, 0, 120000, UTC), IN_UTC, "2026-11-28 10:00:00.12"),
        (datetime(99, 1, 1, 9), LOCAL, "0099-01-01 09:00:00"),
        (None, pa.int64(), None),
    ],
)
def test_values_are_named_as_spark_does_it(value: Any, type_: Any, text: str | None) -> None:
    scalar = pa.scalar(value, type_)
    assert text_of(scalar, PARIS) == text
    assert value_of(text, type_, PARIS) == scalar


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)))
def test_times_come_back(time: datetime) -> None:
    for zone in (UTC, PARIS):
        for type_ in (IN_UTC, LOCAL):
            value = pa.scalar(time.replace(tzinfo=UTC) if type_.tz else time, type_)
            again = value_of(text_of(value, zone), type_, zone).as_py()
            twice = zone is PARIS and type_ is IN_UTC  # an hour of the autumn
            assert abs(again - value.as_py()) in (timedelta(), timedelta(hours=twice))


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.text(min_size=1))
def test_names_of_folders_come_back(column: str, value: str) -> None:
    name = folder(column, value)
    assert "/" not in name
    assert partition_of(f"{name}/file") == {column: value}


def test_names_that_spark_leaves_as_they_are() -> None:
    assert folder("größe", "a b&c") == "größe=a b&c"
    assert folder("a=b", "c/d:e%{") == "a%3Db=c%2Fd%3Ae%25%7B"
    assert folder("day", None) == folder("day", "") == "day=__HIVE_DEFAULT_PARTITION__"


def test_rows_go_to_their_folders() -> None:
    """With more combinations of values than a number of 64 bits has."""
    count, columns = 2000, [f"c{place}" for place in range(7)]
    numbers = np.random.default_rng(1).permuted(np.tile(np.arange(count), (7, 1)), axis=1)
    rows = pa.RecordBatch.from_arrays([pa.array(each) for each in numbers], columns)
    found = dict(folders_of(rows, columns, UTC))
    assert len(found) == count
    for row in rows.to_pylist():
        path = "/".join(f"{name}={value}" for name, value in row.items())
        assert found[path].to_pylist() == [row]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", None, "-2"], types.IntegerType()),
        (["1", "3000000000"], types.LongType()),
        (["1", "99999999999999999999"], types.StringType()),
        (["1", "2.5", "1e3"], types.DoubleType()),
        (["2026-11-28", None], types.DateType()),
        (["2026-11-31"], types.StringType()),
        (["2026-11-28 10:00:00.5"], types.TimestampType()),
        (["2026-11-28", "x"], types.StringType()),
        ([None], types.StringType()),
    ],
)
def test_types_of_columns(values: list[str | None], found: types.DataType) -> None:
    assert inferred_type(values) == found


def test_a_value_that_does_not_fit() -> None:
    for type_ in (pa.int32(), pa.date32(), LOCAL, IN_UTC):
        with pytest.raises(ConfigurationError, match="'x' cannot be read as"):
            value_of("x", type_, UTC)
