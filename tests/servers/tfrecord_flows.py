"""TFRecords on a store, as DataFrames and on the nodes; part of `store_script.py`."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorsparkml as tsm

ROWS = 300


def write_and_read(session: Any, filesystem: Any, uri: str) -> dict[str, Any]:
    """What a folder has that is appended to, by two at once, and overwritten in parts."""
    rows = session.range(0, ROWS, 1, 3).selectExpr("id", "id % 3 AS part", "string(id) AS name")
    parts = {"partition_by": "part"}
    tsm.tfrecord.write(rows, uri, **parts)

    def append(turn: int) -> None:
        more = rows.selectExpr(f"id + {turn * ROWS} AS id", "part", "name")
        tsm.tfrecord.write(more, uri, mode="append", compression="gzip", **parts)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(append, (1, 2)))
    negative = rows.where("part = 1").selectExpr("-id AS id", "part", "name")
    dynamic = {"mode": "overwrite", "partitionOverwriteMode": "dynamic"}
    tsm.tfrecord.write(negative, uri, **dynamic, **parts)
    refused = ""
    try:
        tsm.tfrecord.write(rows, uri)
    except tsm.errors.ConfigurationError as error:
        refused = str(error)
    found = tsm.tfrecord.read(session, uri, columns=["id", "part"])
    return {
        "ids": sorted(row.id for row in found.collect()),
        "chosen": tsm.tfrecord.read(session, uri, where="part = 2").count(),
        "streamed": _stream(session, uri, found.schema),
        "refused": refused,
        "left": sorted(
            path.rstrip("/").rpartition("/")[2]
            for path in filesystem.ls(filesystem._strip_protocol(uri), detail=False)
        ),
    }


def _stream(session: Any, uri: str, schema: Any) -> int:
    tsm.tfrecord.register(session)
    rows = session.readStream.format("tfrecord").schema(schema).load(uri)
    writer = rows.writeStream.format("tfrecord").trigger(availableNow=True)
    with tempfile.TemporaryDirectory() as checkpoint:
        query = writer.option("checkpointLocation", checkpoint).start(f"{uri}-copy")
        query.awaitTermination()
    return tsm.tfrecord.count(session, f"{uri}-copy")


def train(args: dict[str, str], ctx: Any) -> None:
    """Learn that y is three times x."""
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.3), "mse")
    rows = ctx.read_tfrecord(args["rows"], global_batch_size=20, features="x", label="y")
    model.fit(rows, epochs=10, verbose=0)
    ctx.export(model, args["model"])


def end_to_end(session: Any, uri: str) -> list[float]:
    """A table, files, two nodes that learn from them, a model, predictions, and files again."""
    names = {name: f"{uri}-{name}" for name in ("rows", "model", "predictions")}
    rows = session.range(0, ROWS, 1, 3).selectExpr(
        "id", "array(float(id % 2), float(id % 5) / 5) AS x",
        "float(3 * (id % 2) + 3 * (id % 5) / 5) AS y",
    )  # fmt: skip
    tsm.tfrecord.write(rows, names["rows"])
    tsm.run(train, names, spark=session, num_workers=2)
    again = tsm.tfrecord.read(session, names["rows"], columns=["id", "x"])
    tsm.tfrecord.write(tsm.predict(again, names["model"]), names["predictions"])
    found = tsm.tfrecord.read(session, names["predictions"]).orderBy("id").collect()
    assert [row.id for row in found] == list(range(ROWS))
    return [row.prediction for row in found[:4]]
