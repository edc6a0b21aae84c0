"""Writes the tables of docs/data.md that say which Spark types become tensors.

    python docs/generate_types.py

A test fails when the tables are not what this program would write. What the tables say comes from
the code: `tensorsparkml.data.column_types` and `tensorsparkml.data.columns` convert the values.
"""

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_type

from tensorsparkml.data.columns import column_spec, to_numpy
from tensorsparkml.errors import UnsupportedColumnError

PAGE = Path(__file__).with_name("data.md")
BEGIN = "<!-- types: written by docs/generate_types.py -->"
END = "<!-- end of types -->"

_UTC = datetime.UTC
_SECOND_DAY = datetime.datetime(1970, 1, 2)

# A Spark type and a value of it.
SUPPORTED = [
    (T.BooleanType(), True),
    (T.ByteType(), 7),
    (T.ShortType(), 7),
    (T.IntegerType(), 7),
    (T.LongType(), 7),
    (T.FloatType(), 0.5),
    (T.DoubleType(), 0.5),
    (T.DecimalType(10, 2), decimal.Decimal("1.10")),
    (T.StringType(), "né"),
    (T.BinaryType(), b"\x00\x01"),
    (T.DateType(), _SECOND_DAY.date()),
    (T.TimestampType(), _SECOND_DAY.replace(tzinfo=_UTC)),
    (T.TimestampNTZType(), _SECOND_DAY),
    (T.ArrayType(T.FloatType()), [0.5, 1.5]),
    (T.ArrayType(T.ArrayType(T.IntegerType())), [[1, 2, 3], [4, 5, 6]]),
]

UNSUPPORTED = [
    T.ArrayType(T.StringType()),
    T.ArrayType(T.BinaryType()),
    T.StructType([T.StructField("a", T.IntegerType()), T.StructField("b", T.FloatType())]),
    T.ArrayType(T.StructType([T.StructField("a", T.IntegerType())])),
    VectorUDT(),
    T.MapType(T.StringType(), T.FloatType()),
    T.TimeType(),
    T.DayTimeIntervalType(),
    T.NullType(),
]


def supported_row(spark_type: T.DataType, value: object) -> str:
    """Return the row for a type that becomes a tensor."""
    arrow_type = to_arrow_type(spark_type, timezone="UTC")
    column = pa.array([value], arrow_type)
    spec = column_spec(pa.field("x", arrow_type), column, None)
    found = to_numpy(column, spec, str)[0]
    dtype = "string" if spec.dtype == object else str(spec.dtype)
    becomes = repr(found.tolist() if hasattr(found, "tolist") else found)
    shape = str(spec.shape)
    return f"| `{spark_type.simpleString()}` | `{dtype}` | `{shape}` | `{value}` | `{becomes}` |"


def unsupported_row(spark_type: T.DataType) -> str:
    """Return the row for a type that does not become a tensor, with the advice of its error."""
    arrow_type = to_arrow_type(spark_type, timezone="UTC")
    try:
        column_spec(pa.field("col", arrow_type), None, None)
    except UnsupportedColumnError as error:
        advice = error.message.partition("does not become a tensor: ")[2]
    else:
        raise AssertionError(f"{spark_type} becomes a tensor")
    name = "Spark ML vector" if isinstance(spark_type, VectorUDT) else spark_type.simpleString()
    return f"| `{name}` | {advice} |"


def tables() -> str:
    """Return both tables as Markdown."""
    lines = [
        "| Spark type | element type | shape of a row | a value | becomes |",
        "|---|---|---|---|---|",
        *(supported_row(*row) for row in SUPPORTED),
        "",
        "These do not become tensors. The error says what to do:",
        "",
        "| Spark type | what the error says |",
        "|---|---|",
        *(unsupported_row(row) for row in UNSUPPORTED),
    ]
    return "\n".join(lines)


def replaced(page: str) -> str:
    """Return the page with its tables as they are now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{BEGIN!r} is not in the page"
    assert end, f"{END!r} is not in the page"
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text("utf-8")), "utf-8")
