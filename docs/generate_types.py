"""Writes the tables of docs/data.md that say which Spark types become tensors.

    python docs/generate_types.py

A test fails when the tables are not what this program would write. What the tables say comes from
the code: every example is converted by `tensorsparkml.data.columns.assembler`, and every entry of
the table in `tensorsparkml.data.columns.types` must have an example here.
"""

import datetime
import decimal
import inspect
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.ml.linalg import Matrices, MatrixUDT, Vectors, VectorUDT
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_type

from tensorsparkml.data.columns.assembler import Assembler
from tensorsparkml.data.columns.options import Column
from tensorsparkml.data.columns.ragged import Ragged
from tensorsparkml.data.columns.types import ELEMENT_TYPES, element_type, leaf_type
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.errors import UnsupportedColumnError

PAGE = Path(__file__).with_name("data.md")
BEGIN = "<!-- types: written by docs/generate_types.py -->"
END = "<!-- end of types -->"

_UTC = datetime.UTC
_SECOND_DAY = datetime.datetime(1970, 1, 2)
_INTS = T.ArrayType(T.IntegerType())


@dataclass
class Example:
    """A Spark type, a row of it, and what is asked for."""

    type: T.DataType
    value: Any
    options: Column | None = None
    asked: str = ""


EXAMPLES = [
    Example(T.BooleanType(), True),
    Example(T.ByteType(), 7),
    Example(T.ShortType(), 7),
    Example(T.IntegerType(), 7),
    Example(T.LongType(), 7),
    Example(T.FloatType(), 0.5),
    Example(T.DoubleType(), 0.5),
    Example(T.DecimalType(10, 2), decimal.Decimal("1.10")),
    Example(T.StringType(), "né"),
    Example(T.BinaryType(), b"\x00\x01"),
    Example(T.DateType(), _SECOND_DAY.date()),
    Example(T.TimestampType(), _SECOND_DAY.replace(tzinfo=_UTC)),
    Example(T.TimestampNTZType(), _SECOND_DAY),
    Example(T.TimeType(), datetime.time(0, 0, 1)),
    Example(T.DayTimeIntervalType(), datetime.timedelta(seconds=1)),
    Example(T.ArrayType(T.FloatType()), [0.5, 1.5]),
    Example(T.ArrayType(T.StringType()), ["a", "b"]),
    Example(T.ArrayType(_INTS), [[1, 2, 3], [4, 5, 6]]),
    Example(VectorUDT(), Vectors.dense([0.5, 0.0, 1.5])),
    Example(VectorUDT(), Vectors.sparse(3, [1], [2.5])),
    Example(MatrixUDT(), Matrices.dense(2, 3, [1, 2, 3, 4, 5, 6])),
    Example(MatrixUDT(), Matrices.sparse(2, 2, [0, 1, 1], [1], [2.5])),
    Example(
        T.StructType([T.StructField("a", T.IntegerType()), T.StructField("b", _INTS)]),
        {"a": 1, "b": [2, 3]},
    ),
    Example(T.ArrayType(T.FloatType()), [0.5, 1.5, 2.5, 3.5], Column(shape=(2, 2)), "shape=(2, 2)"),
    Example(_INTS, [1, 2, 3], Column(shape=(None,)), "shape=(None,)"),
    Example(T.ArrayType(_INTS), [[1, 2], [3]], Column(shape=(None, None)), "shape=(None, None)"),
    Example(T.DoubleType(), 0.5, Column(dtype="float32"), 'dtype="float32"'),
    Example(T.BinaryType(), b"\0\1\2\3", Column(dtype="uint8"), 'dtype="uint8"'),
    Example(
        T.BinaryType(),
        b"\0\1\2\3",
        Column(shape=(2, 2), dtype="uint8"),
        'shape=(2, 2), dtype="uint8"',
    ),
    Example(T.IntegerType(), None, Column(fill=-1), "fill=-1"),
    Example(_INTS, [1, None], Column(fill=0), "fill=0"),
]

UNSUPPORTED = [
    T.ArrayType(T.StructType([T.StructField("a", T.IntegerType())])),
    T.MapType(T.StringType(), T.FloatType()),
    T.VariantType(),
    T.NullType(),
]


# PySpark 4.2 and newer.
_TAKES_ZONE = "timezone" in inspect.signature(to_arrow_type).parameters


def arrow_field(spark_type: T.DataType) -> pa.Field:
    """Return a column of a type as Spark hands it over."""
    zone = {"timezone": "UTC"} if _TAKES_ZONE else {}  # else timestamps are in UTC anyway
    return pa.field("col", to_arrow_type(spark_type, **zone))


def assembler(field: pa.Field, value: Any, options: Column | None = None) -> tuple[Any, Any]:
    """Return what the column becomes, and the column of one row converted."""
    column = pa.array([value], field.type)
    batch = pa.RecordBatch.from_arrays([column], schema=pa.schema([field]))
    located = LocatedBatch(batch, Origin(0, 0))
    made = Assembler(None, {} if options is None else {"col": options}, located)
    return made.specs["col"], made.assemble([located])["col"]


def simple_name(spark_type: T.DataType) -> str:
    """Return the type's name in SQL."""
    if isinstance(spark_type, VectorUDT | MatrixUDT):
        return "Spark ML " + ("vector" if isinstance(spark_type, VectorUDT) else "matrix")
    return spark_type.simpleString()


def stored(value: Any) -> Any:
    """Return a vector or matrix as the struct that it is in Arrow."""
    udt = {"Vector": VectorUDT(), "Matrix": MatrixUDT()}
    for name, each in udt.items():
        if type(value).__name__.endswith(name):
            names = [field.name for field in each.sqlType()]
            return dict(zip(names, each.serialize(value), strict=True))
    return value


def dtype_of(spec: Any) -> str:
    if isinstance(spec, dict):
        return ", ".join(f"{name}: {dtype_of(inner)}" for name, inner in spec.items())
    return "string" if spec.dtype == object else str(spec.dtype)


def shape_of(spec: Any) -> str:
    if isinstance(spec, dict):
        return ", ".join(f"{name}: {shape_of(inner)}" for name, inner in spec.items())
    return str(spec.shape)


def first_row(found: Any) -> Any:
    """Return the only row of what a column became, as plain values."""
    if isinstance(found, dict):
        return {name: first_row(inner) for name, inner in found.items()}
    if isinstance(found, Ragged):
        rows = found.values.tolist()
        for splits in reversed(found.row_splits):
            rows = [rows[a:b] for a, b in itertools.pairwise(splits)]
        return rows[0]
    return found.tolist()[0]


def supported_row(example: Example) -> str:
    """Return the row for a type that becomes a tensor."""
    field = arrow_field(example.type)
    spec, found = assembler(field, stored(example.value), example.options)
    shown = " ".join(str(example.value).split())
    cells = [
        simple_name(example.type),
        *([example.asked] if example.asked else []),
        dtype_of(spec),
        shape_of(spec),
        shown,
        repr(first_row(found)),
    ]
    return f"| {' | '.join(f'`{cell}`' for cell in cells)} |"


def unsupported_row(spark_type: T.DataType) -> str:
    """Return the row for a type that cannot become a tensor, with the advice of its error."""
    field = arrow_field(spark_type)
    try:
        assembler(field, None)
    except UnsupportedColumnError as error:
        advice = error.message.partition("cannot become a tensor: ")[2]
    else:
        raise AssertionError(f"{spark_type} becomes a tensor")
    return f"| `{simple_name(spark_type)}` | {advice} |"


def tables() -> str:
    """Return the tables as Markdown."""
    leaves = [leaf_type(arrow_field(example.type).type) for example in EXAMPLES]
    without = {known.name for known in ELEMENT_TYPES} - {
        known.name for leaf in leaves if (known := element_type(leaf)) is not None
    }
    assert not without, f"no example of {without}"
    lines = [
        "| Spark type | element type | shape of a row | a value | becomes |",
        "|---|---|---|---|---|",
        *(supported_row(example) for example in EXAMPLES if not example.asked),
        "",
        "On request:",
        "",
        "| Spark type | `tsm.Column(…)` | element type | shape of a row | a value | becomes |",
        "|---|---|---|---|---|---|",
        *(supported_row(example) for example in EXAMPLES if example.asked),
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
