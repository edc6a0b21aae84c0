"""A Spark application of two nodes that read from a store. Prints, as JSON, what they saw."""

import itertools
import json
import os
import sys
import tempfile
from typing import Any

from saved_pipeline import save_pipeline
from tfrecord_flows import end_to_end, write_and_read

import tensorsparkml as tsm
from tensorsparkml.errors import DataError
from tensorsparkml.storage import write_directory

ROWS = 1003


def write_table(filesystem: Any, folder: str) -> None:
    """Four files of a few row groups, and what Spark writes beside them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number, (first, last) in enumerate(itertools.pairwise([0, 700, 701, 950, ROWS])):
        below = f"{folder}/part={number % 2}"
        filesystem.makedirs(below, exist_ok=True)
        with filesystem.open(f"{below}/{number}.parquet", "wb") as file:
            pq.write_table(pa.table({"id": range(first, last)}), file, row_group_size=100)
    filesystem.pipe(f"{folder}/_SUCCESS", b"")


def write_records(filesystem: Any, folder: str) -> None:
    """Three files of records, one of them compressed."""
    import tensorflow as tf

    filesystem.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for number, (first, last) in enumerate(itertools.pairwise([0, 600, 900, ROWS])):
            path = f"{scratch}/{number}.tfrecord"
            with tf.io.TFRecordWriter(path, "GZIP" if number == 1 else "") as writer:
                for row in range(first, last):
                    value = tf.train.Feature(int64_list=tf.train.Int64List(value=[row]))
                    features = tf.train.Features(feature={"id": value})
                    writer.write(tf.train.Example(features=features).SerializeToString())
            filesystem.put_file(path, f"{folder}/{number}.tfrecord")


def local_batches(ctx, dataset):
    local = ctx.strategy.experimental_local_results
    return [local(batch["id"])[0].numpy().tolist() for batch in dataset]


def failure(ctx, uri, filesystem=None):
    """What the error says."""
    try:
        ctx.read_parquet(uri, batch_size=64, filesystem=filesystem)
    except DataError as error:
        return str(error)
    raise AssertionError(f"{uri} was opened")


def native_s3(endpoint):
    from pyarrow.fs import S3FileSystem

    return endpoint and S3FileSystem(endpoint_override=endpoint, region="us-east-1")


def read(args, ctx):
    """Read what the program names, and then what the driver does."""
    options = {"batch_size": 64, "shuffle": True, "seed": 5}
    seen = {
        "parquet": local_batches(ctx, ctx.read_parquet(args["table"], columns=["id"], **options)),
        "tfrecord": local_batches(ctx, ctx.read_tfrecord(args["records"], **options)),
        "missing": failure(ctx, args["missing"]),
    }
    if args["native"]:
        path = args["table"].partition("://")[2]
        given = native_s3(args["native"])
        dataset = ctx.read_parquet(path, columns=["id"], filesystem=given, **options)
        seen["native"] = local_batches(ctx, dataset)
    seen["unreachable"] = failure(ctx, args["unreachable"], native_s3(args["nobody"]))
    feed, seen["fed"] = ctx.feed(columns=["id"]), []
    while not feed.should_stop():
        seen["fed"].append(feed.next_batch(64)["id"].tolist())
    return seen


def predictions(session: Any, uri: str) -> list[list[float]]:
    """What a model predicts that is overwritten once."""
    import tensorflow as tf

    class Plus(tf.Module):
        def __init__(self, number: float) -> None:
            super().__init__()
            self.number = tf.Variable(number)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def __call__(self, x):
            return {"sum": x + self.number}

    found = []
    for number in (1.0, 2.0):
        model = Plus(number)

        def save(path: str, model: Plus = model) -> None:
            tf.saved_model.save(model, path, {"serving_default": model.__call__})

        write_directory(uri, save)
        rows = tsm.predict(session.range(0, 3, 1, 2).selectExpr("float(id) AS x"), uri).collect()
        found.append([row.prediction for row in rows])
    return found


def start_session(master: str, args: dict[str, Any]) -> Any:
    tsm.ensure_java()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master(master)
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
    )
    for name, value in args["environment"].items():
        builder = builder.config(f"spark.executorEnv.{name}", value)
    for name, value in args["spark"].items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main(args: dict[str, Any]) -> dict[str, Any]:
    import fsspec

    os.environ.update(args["environment"])
    filesystem, table = fsspec.core.url_to_fs(args["table"], **args["options"])
    write_table(filesystem, table)
    write_records(filesystem, filesystem._strip_protocol(args["records"]))
    session = start_session("local-cluster[2,1,1024]", args)
    settings = {"spark": session, "num_workers": 2, "environment": args["environment"]}
    with tsm.Cluster(read, args, fed=False, **settings) as cluster:
        report = cluster.train(args["table"])
    predicted = predictions(session, f"{args['table']}-model")
    tables = write_and_read(session, filesystem, f"{args['table']}-tfrecords")
    trained = end_to_end(session, f"{args['table']}-flow") if args["end_to_end"] else None
    saved = save_pipeline(session, args["saved"]) if args["saved"] else None
    session.stop()
    return {
        "nodes": cluster.results,
        "rows_read": report.rows_read,
        "predicted": predicted,
        "saved": saved,
        "tfrecords": tables,
        "trained": trained,
    }


if __name__ == "__main__":
    print("RESULT " + json.dumps(main(json.loads(sys.argv[1]))))
