"""Train on a stream: digits arrive as files, and the model learns from them as they come.

    python examples/streaming.py
    spark-submit --master spark://host:7077 examples/streaming.py

The stream here ends when all files are read. With another trigger it goes on until
`stream.stop()`. On a cluster, the folders must be where all nodes see them.
"""

import tempfile
from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

DATA = Path(__file__).resolve().parent / "data"


def main(args, ctx):
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    with ctx.strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((784,)),
                layers.Rescaling(1 / 255),
                layers.Dense(128, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    columns = {"batch_size": 32, "features": "image", "label": "label"}
    test = ctx.read_parquet(args["test"], **columns)
    before = model.evaluate(test, verbose=0, return_dict=True)
    model.fit(ctx.dataset(**columns), epochs=1, verbose=0)  # returns when the stream has ended
    after = model.evaluate(test, verbose=0, return_dict=True)
    return before["accuracy"], after["accuracy"]


if __name__ == "__main__":
    spark = start_spark("streaming")
    folder = tempfile.mkdtemp(prefix="stream-")
    digits = spark.read.parquet(str(DATA / "mnist_train.parquet"))
    digits.repartition(6).write.parquet(f"{folder}/incoming")

    arriving = spark.readStream.schema(digits.schema).option("maxFilesPerTrigger", 2)
    stream_of_digits = (
        arriving.parquet(f"{folder}/incoming")
        .writeStream.trigger(availableNow=True)
        .option("checkpointLocation", f"{folder}/checkpoint")
    )
    args = {"test": str(DATA / "mnist_test.parquet")}
    with tsm.Cluster(main, args, num_workers=2) as cluster:
        stream = cluster.train_stream(stream_of_digits)
    before, after = cluster.results[0]
    print(f"rows of the stream  {stream.report.rows}")
    print(f"test accuracy       {before:.3f} before, {after:.3f} after")
