"""Every supported Spark type reaches the nodes with the values that `collect` gives."""

import datetime
import decimal
import itertools

import numpy as np
import pytest
from pyspark.ml.linalg import (
    DenseMatrix,
    Matrices,
    MatrixUDT,
    SparseMatrix,
    Vectors,
    VectorUDT,
)
from pyspark.sql import functions as F
from pyspark.sql import types as T

import tensorsparkml as tsm

ROWS = 24
EPOCH = datetime.datetime(1970, 1, 1)
SCHEMA = T.StructType(
    [
        T.StructField("id", T.LongType()),
        T.StructField("bool", T.BooleanType()),
        T.StructField("byte", T.ByteType()),
        T.StructField("short", T.ShortType()),
        T.StructField("int", T.IntegerType()),
        T.StructField("float", T.FloatType()),
        T.StructField("double", T.DoubleType()),
        T.StructField("decimal", T.DecimalType(12, 3)),
        T.StructField("string", T.StringType()),
        T.StructField("binary", T.BinaryType()),
        T.StructField("date", T.DateType()),
        T.StructField("ntz", T.TimestampNTZType()),
        T.StructField("list", T.ArrayType(T.FloatType())),
        T.StructField("nested", T.ArrayType(T.ArrayType(T.IntegerType()))),
        T.StructField("words", T.ArrayType(T.StringType())),
        T.StructField("tokens", T.ArrayType(T.LongType())),
        T.StructField("vector", VectorUDT()),
        T.StructField("matrix", MatrixUDT()),
        T.StructField("vectors", T.ArrayType(VectorUDT())),
        T.StructField("age", T.IntegerType()),
        T.StructField(
            "person",
            T.StructType(
                [
                    T.StructField("name", T.StringType()),
                    T.StructField("place", VectorUDT()),
                    T.StructField("size", T.StructType([T.StructField("cm", T.DoubleType())])),
                ]
            ),
        ),
        T.StructField("map", T.MapType(T.StringType(), T.IntegerType())),
    ]
)
CONVERT = {
    "packed": {"dtype": "int16"},
    "tokens": {"shape": (None,), "fill": -1},
    "vector": {"shape": (2, 2), "dtype": "float32"},
    "age": {"fill": 18, "mask": True},
    "person.name": {"fill": "nobody"},
    "person.place": {"fill": 0, "shape": (2,)},
    "person.size.cm": {"fill": 170.0},
}
OTHERS = ["instant", "time", "span", "packed"]
READ = [*(field.name for field in SCHEMA if field.name != "map"), "age_mask"]


def make_row(i):
    vector = [float(i), 0.0, 1.0, 0.0]
    matrices = [
        Matrices.dense(2, 3, [i, 2, 3, 4, 5, 6]),
        Matrices.sparse(2, 3, [0, 1, 1, 2], [1, 0], [float(i), 8.0]),
        DenseMatrix(2, 3, [i, 2, 3, 4, 5, 6], True),
        SparseMatrix(2, 3, [0, 1, 2], [1, 0], [7.0, float(i)], True),
    ]
    place = Vectors.dense([i, 1.0]) if i % 2 else Vectors.sparse(2, [1], [i])
    return (
        i,
        i % 3 == 0,
        i - 12,
        i * 100,
        i * 10**6,
        i / 4,
        i / 3,
        decimal.Decimal(i).scaleb(-3),
        f"né {i}",
        bytes([i, 0]),
        datetime.date(1970, 1, 1) + datetime.timedelta(days=i),
        EPOCH + datetime.timedelta(microseconds=i),
        [i / 2, 1.0],
        [[i, 1, 2], [3, 4, 5]],
        [f"a{i}", ""],
        None if i % 7 == 6 else [None if j == 3 else i + j for j in range(i % 5)],
        Vectors.dense(vector) if i % 2 else Vectors.sparse(4, {0: float(i), 2: 1.0}),
        matrices[i % 4],
        [Vectors.dense([i, 2.0]), Vectors.sparse(2, [1], [i])],
        None if i % 4 == 1 else i,
        None if i % 6 == 5 else (f"n{i}", place, (None if i % 3 else float(i),)),
        {"a": i},
    )


def expected(row):
    """What a row should become, from what `collect` gives."""
    person = row.person
    return {
        **{name: row[name] for name in ("id", "bool", "byte", "short", "int", "float", "double")},
        **{name: row[name] for name in ("list", "nested")},
        "decimal": float(row.decimal),
        "string": row.string.encode(),
        "binary": bytes(row.binary),
        "packed": [row.id],
        "date": (row.date - EPOCH.date()).days,
        "ntz": (row.ntz - EPOCH) // datetime.timedelta(microseconds=1),
        "instant": row.id,
        "time": row.time.second * 10**6,
        "span": row.span // datetime.timedelta(microseconds=1),
        "words": [word.encode() for word in row.words],
        "tokens": [-1 if token is None else token for token in row.tokens or []],
        "vector": row.vector.toArray().reshape(2, 2).tolist(),
        "matrix": row.matrix.toArray().tolist(),
        "vectors": [vector.toArray().tolist() for vector in row.vectors],
        "age": 18 if row.age is None else row.age,
        "age_mask": row.age is not None,
        "person": {
            "name": b"nobody" if person is None else person.name.encode(),
            "place": [0.0, 0.0] if person is None else person.place.toArray().tolist(),
            "size": {
                "cm": 170.0 if person is None or person["size"].cm is None else person["size"].cm
            },
        },
    }


def rows_of(values):
    """The rows of what a batch holds under one name, as plain values."""
    if isinstance(values, dict):
        fields = {name: rows_of(inner) for name, inner in values.items()}
        return [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    if isinstance(values, tuple):
        (splits,) = values.row_splits
        flat = values.values.tolist()
        return [flat[start:end] for start, end in itertools.pairwise(splits)]
    return values.tolist() if hasattr(values, "tolist") else values.to_list()


def options(given):
    return {name: tsm.Column(**options) for name, options in given.items()}


def read(args, ctx):
    """Read the feed as arrays, then as tensors; return its rows twice, and what is refused."""
    from tensorsparkml.data.columns.pytree import map_leaves

    names, given = args
    convert = options(given)
    feed = ctx.feed(columns=names, convert=convert)
    arrays = []
    while not feed.should_stop():
        arrays += rows_of(feed.next_batch(5))

    features = {name: name for name in names}
    dataset = ctx.dataset(batch_size=5, features=features, convert=convert)
    local = ctx.strategy.experimental_local_results
    tensors = []
    for batch in dataset:
        batch = map_leaves(lambda value: local(value)[0], batch)
        tensors += rows_of(map_leaves(lambda t: t if hasattr(t, "to_list") else t.numpy(), batch))

    refused = {}
    for name, unasked in (("map", {}), ("age", {}), ("tokens", {"tokens": {"fill": 0}})):
        try:
            for _ in ctx.dataset(batch_size=5, features=name, convert=options(unasked)):
                pass
        except Exception as error:
            refused[name] = str(error)
    return arrays, tensors, refused


@pytest.fixture(scope="module")
def every_type(spark):
    rows = [make_row(i) for i in range(ROWS)]
    data = spark.createDataFrame(rows, SCHEMA).repartition(3)
    # An instant, which Spark shows in the session's time zone.
    return data.withColumn("instant", F.timestamp_micros(F.col("id"))).withColumns(
        {
            "time": F.expr("time'00:00:01'"),
            "span": F.expr("interval '1' second * int(id)"),
            "packed": F.col("binary"),
        }
    )


def test_every_type_on_two_nodes(spark, every_type):
    results = tsm.run(
        read, ([*READ, *OTHERS], CONVERT), spark=spark, num_workers=2, data=every_type
    )
    wanted = {row.id: expected(row) for row in every_type.collect()}
    for found in (0, 1):  # as arrays, as tensors
        rows = {row["id"]: row for result in results for row in result[found]}
        assert sum(len(result[found]) for result in results) == ROWS
        assert rows.keys() == wanted.keys()
        for number, row in rows.items():
            assert row.keys() == wanted[number].keys()
            for name, value in row.items():
                if name == "float":
                    assert value == np.float32(wanted[number][name])
                else:
                    assert value == wanted[number][name], (number, name)
    for _, _, refused in results:
        assert "element_at" in refused["map"]
        assert "'age'" in refused["age"]
        assert "null" in refused["age"]
        assert "'tokens'" in refused["tokens"]
        assert "tsm.Column(shape=(None,))" in refused["tokens"]


def train(args, ctx):
    """Train on padded tokens and a struct, with what a transform makes of them."""
    import keras
    import tensorflow as tf

    def pad(x, y):
        return {"tokens": x["tokens"].to_tensor(), "name": tf.strings.length(x["name"])}, y

    keras.utils.set_random_seed(1)
    with ctx.strategy.scope():
        tokens, name = keras.Input((None,), name="tokens"), keras.Input((), name="name")
        pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(99, 3)(tokens))
        output = keras.layers.Dense(1)(pooled) + keras.ops.cast(name, "float32")[:, None]
        model = keras.Model({"tokens": tokens, "name": name}, output)
        model.compile("sgd", "mse")
    dataset = ctx.dataset(
        batch_size=4,
        features={"tokens": "tokens", "name": "person.name"},
        label="age",
        convert=options(args),
        transform=pad,
    )
    return model.fit(dataset, epochs=2, verbose=0).history["loss"]


@pytest.mark.full
@pytest.mark.parametrize("nodes", [1, 2])
def test_training_on_what_a_transform_makes(spark, every_type, nodes):
    given = {
        "tokens": {"shape": (None,), "fill": 0},
        "person.name": {"fill": "nobody"},
        "age": {"fill": 0, "dtype": "float32"},
    }
    # The mean of no tokens, of which a batch of empty lists would consist, is not a number.
    data = every_type.where("size(tokens) > 0")
    losses = tsm.run(train, given, spark=spark, num_workers=nodes, data=data)
    assert len(losses[0]) == 2
    assert np.isfinite(losses).all(), losses
    assert all(loss == losses[0] for loss in losses)
