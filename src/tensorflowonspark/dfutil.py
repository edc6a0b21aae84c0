"""TFRecord files as DataFrames, with the functions of TensorFlowOnSpark.

New programs use `tensorsparkml.tfrecord`, whose format has more types and options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tensorsparkml import tfrecord
from tensorsparkml.errors import UnsupportedColumnError
from tensorsparkml.tfrecord.codec.encode import encode_records
from tensorsparkml.tfrecord.codec.exact import features_of
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.schema.conversions import feature_column, to_feature

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import SparkContext
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

# The DataFrames that loadTFRecords has returned, and where their files are.
loadedDF: WeakKeyDictionary[DataFrame, str] = WeakKeyDictionary()


def isLoadedDF(df: DataFrame) -> bool:
    """Return whether a DataFrame is one that `loadTFRecords` has returned."""
    return df in loadedDF


def saveAsTFRecords(df: DataFrame, output_dir: str) -> None:
    """Save a DataFrame as TFRecord files in a new folder.

    Args:
        df: The rows, of numbers, booleans, strings, binaries, and arrays of these.
        output_dir: The folder.
    """
    tfrecord.write(df, output_dir)


def loadTFRecords(
    sc: SparkContext, input_dir: str, binary_features: Sequence[str] = ()
) -> DataFrame:
    """Load TFRecord files.

    Args:
        sc: The context, whose session reads the files.
        input_dir: The folder.
        binary_features: Features of bytes that become binaries; the others become strings.

    Returns:
        The rows, with columns in the order of their names: long, double, string or binary, or
        arrays of these.
    """
    from pyspark.sql import SparkSession
    from pyspark.sql.types import ArrayType, DoubleType, FloatType

    spark, options = SparkSession(sc), {"binaryColumns": ",".join(binary_features)}
    schema = tfrecord.read(spark, input_dir, **options).schema
    for field in schema:
        if isinstance(field.dataType, FloatType):
            field.dataType = DoubleType()
        elif isinstance(field.dataType, ArrayType) and field.dataType.elementType == FloatType():
            field.dataType = ArrayType(DoubleType(), containsNull=False)
    found = tfrecord.read(spark, input_dir, schema=schema, **options)
    loadedDF[found] = input_dir
    return found


def toTFExample(
    dtypes: Sequence[tuple[str, str]],
) -> Callable[[Iterable[Any]], list[tuple[bytearray, None]]]:
    """Return a function for `mapPartitions` that makes serialized `Example` messages of rows.

    Args:
        dtypes: The DataFrame's `dtypes`.
    """
    columns = [_column(name, dtype) for name, dtype in dtypes]

    def to_examples(rows: Iterable[Any]) -> list[tuple[bytearray, None]]:
        import pyarrow as pa

        given = list(rows)
        features = []
        for field, column in columns:
            values = pa.array([row[field.name] for row in given], field.type)
            features.append(to_feature(values, column))
        records = encode_records([column for _, column in columns], features)
        return [(bytearray(record.as_py()), None) for record in records]

    return to_examples


def _column(name: str, dtype: str) -> tuple[pa.Field, FeatureColumn]:
    import pyarrow as pa

    inner = dtype.removeprefix("array<").removesuffix(">")
    if inner not in _TYPES:
        raise UnsupportedColumnError(
            f"the column {name!r} has the type {dtype}; there are {', '.join(_TYPES)}"
        )
    type_ = pa.type_for_alias(_TYPES[inner])
    field = pa.field(name, pa.list_(type_) if inner != dtype else type_)
    return field, feature_column(field, sequences=False)


# Spark's names of types, and Arrow's.
_TYPES = {
    "boolean": "bool",
    "tinyint": "int8",
    "smallint": "int16",
    "int": "int32",
    "bigint": "int64",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "binary": "binary",
}


def infer_schema(example: Any, binary_features: Sequence[str] = ()) -> StructType:
    """Return the schema of one message.

    Args:
        example: A `tf.train.Example`.
        binary_features: Features of bytes that become binaries; the others become strings.
    """
    from pyspark.sql import types

    def column(name: str, feature: Any) -> types.DataType:
        if name in binary_features:
            return types.BinaryType()
        for values, kind in (
            (feature.int64_list.value, types.LongType()),
            (feature.float_list.value, types.DoubleType()),
            (feature.bytes_list.value, types.StringType()),
        ):
            if values:
                return types.ArrayType(kind) if len(values) > 1 else kind
        return types.StringType()

    features = sorted(example.features.feature.items())
    return types.StructType(
        [types.StructField(name, column(name, each)) for name, each in features]
    )


def fromTFExample(iter: Iterable[Any], binary_features: Sequence[str] = ()) -> list[Any]:
    """Return rows of serialized `Example` messages; for `mapPartitions`.

    Args:
        iter: Pairs of a message's bytes and None.
        binary_features: Features of bytes that become binaries; the others become strings.
    """
    from pyspark.sql import Row

    def value(name: str, kind: Kind | None, values: list[Any]) -> Any:
        if kind is Kind.BYTES:
            values = [bytearray(v) if name in binary_features else v.decode() for v in values]
        return values if len(values) > 1 else (values or [None])[0]

    rows = []
    for record, *_ in iter:
        features = {key.decode(): each for key, each in features_of(bytes(record)).items()}
        rows.append(Row(**{name: value(name, *features[name]) for name in sorted(features)}))
    return rows
