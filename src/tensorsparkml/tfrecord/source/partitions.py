"""The folders of rows, and the columns that they make, as Hive and Spark name them. Pure.

https://spark.apache.org/docs/latest/sql-data-sources-parquet.html#partition-discovery
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.files.listing import NO_VALUE
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql.types import DataType

# https://github.com/apache/spark/blob/v4.1.0/sql/catalyst/src/main/scala/org/apache/spark/sql/
# catalyst/catalog/ExternalCatalogUtils.scala
_ESCAPED = re.compile(r"""[\x01-\x1f"#%'*/:=?\\\x7f{\[\]^]""")
_INTEGER = re.compile(r"[+-]?\d+")
_DOUBLE = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|NaN|-?Infinity")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,6})?")


def folders_of(
    batch: pa.RecordBatch, columns: Sequence[str], zone: tzinfo
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the folders of rows, such as `day=2026-11-28/hour=3`, and their rows.

    Args:
        batch: The rows.
        columns: The columns that name the folders, from the outermost one on.
        zone: The zone of timestamps in the names.
    """
    if not columns:
        yield "", batch
        return
    paths: list[tuple[str, ...]] = [()]
    rows = np.zeros(batch.num_rows, np.int64)  # the number of each row's path
    for column in columns:
        encoded = batch.column(column).dictionary_encode(null_encoding="encode")
        names = [folder(column, text_of(value, zone)) for value in encoded.dictionary]
        codes = rows * len(names) + encoded.indices.to_numpy(zero_copy_only=False)
        found, rows = np.unique(codes, return_inverse=True)
        places = [divmod(code, len(names)) for code in found.tolist()]
        paths = [(*paths[outer], names[inner]) for outer, inner in places]
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(len(paths) + 1))
    for number, path in enumerate(paths):
        chosen = order[starts[number] : starts[number + 1]]
        yield "/".join(path), batch.take(pa.array(chosen))


def folder(column: str, value: str | None) -> str:
    """Return the name of a folder; an empty value is written as null, as Spark does it."""
    return f"{_escaped(column)}={_escaped(value) if value else NO_VALUE}"


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def text_of(value: pa.Scalar, zone: tzinfo) -> str | None:
    """Return a value as the name of a folder has it, which is as Spark casts it to a string."""
    if not value.is_valid:
        return None
    if pa.types.is_timestamp(value.type):
        found: datetime = value.cast(pa.timestamp("us", value.type.tz)).as_py()
        local = found.astimezone(zone).replace(tzinfo=None) if found.tzinfo else found
        text = local.isoformat(" ")
        return text.rstrip("0") if local.microsecond else text
    if pa.types.is_floating(value.type):
        return str(
            value.cast(pa.float64()).as_py() if value.type != pa.float32() else _short(value)
        )
    return str(pc.cast(value, pa.string()).as_py())


def _short(value: pa.Scalar) -> np.float32:
    return np.float32(value.as_py())


def value_of(text: str | None, type_: pa.DataType, zone: tzinfo) -> pa.Scalar:
    """Return what the name of a folder says, as the value of a column.

    Raises:
        ConfigurationError: It is no value of the type.
    """
    try:
        if text is not None and pa.types.is_timestamp(type_):
            found = datetime.fromisoformat(text)
            if type_.tz is not None and found.tzinfo is None:
                found = found.replace(tzinfo=zone)
            return pa.scalar(found, type_)
        return pa.scalar(text, pa.string()).cast(type_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise ConfigurationError(f"{text!r} cannot be read as {type_}") from error


def inferred_type(values: Sequence[str | None]) -> DataType:
    """Return the type of a column that folders make: int, long, double, date, timestamp, string."""
    from pyspark.sql import types

    texts = [value for value in values if value is not None]
    if not texts:
        return types.StringType()
    if all(map(_INTEGER.fullmatch, texts)):
        numbers = [int(text) for text in texts]
        if all(-(2**31) <= number < 2**31 for number in numbers):
            return types.IntegerType()
        if all(-(2**63) <= number < 2**63 for number in numbers):
            return types.LongType()
        return types.StringType()
    candidates: list[tuple[re.Pattern[str], Any]] = [
        (_DOUBLE, types.DoubleType()),
        (_DATE, types.DateType()),
        (_TIMESTAMP, types.TimestampType()),
    ]
    for pattern, found in candidates:
        if all(map(pattern.fullmatch, texts)) and (pattern is _DOUBLE or all(map(_is_time, texts))):
            return found  # type: ignore[no-any-return]
    return types.StringType()


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
