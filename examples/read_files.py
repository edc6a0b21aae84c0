"""Train on files that the nodes read by themselves: Parquet, with TFRecords to validate.

    python examples/read_files.py
    spark-submit --master spark://host:7077 examples/read_files.py

No row passes through Spark, which only starts the nodes. Each node reads its share of the row
groups, another one in every epoch. On a cluster, the files must be where all nodes see them, such
as on s3:// or hdfs://.
"""

import tempfile
from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

DATA = Path(__file__).resolve().parent / "data"


def write_tfrecords(args, ctx):
    """Writes the test digits as four files of tf.train.Example, as another program might have."""
    import pyarrow.parquet as pq
    import tensorflow as tf

    def example(row):
        image = tf.train.Feature(int64_list=tf.train.Int64List(value=row["image"]))
        label = tf.train.Feature(int64_list=tf.train.Int64List(value=[row["label"]]))
        features = tf.train.Features(feature={"image": image, "label": label})
        return tf.train.Example(features=features).SerializeToString()

    for number, batch in enumerate(pq.ParquetFile(args["source"]).iter_batches(500)):
        with tf.io.TFRecordWriter(f"{args['folder']}/part-{number}.tfrecord") as writer:
            for row in batch.to_pylist():
                writer.write(example(row))


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
    columns = {"batch_size": 64, "features": "image", "label": "label"}
    history = model.fit(
        ctx.read_parquet(args["train"], shuffle=True, seed=1, **columns),
        validation_data=ctx.read_tfrecord(args["test"], **columns),
        epochs=4,
        verbose=0,
    )
    return history.history


if __name__ == "__main__":
    start_spark("files")
    folder = tempfile.mkdtemp(prefix="tfrecords-")
    tsm.run(write_tfrecords, {"source": str(DATA / "mnist_test.parquet"), "folder": folder})
    files = {"train": str(DATA / "mnist_train.parquet"), "test": f"{folder}/*.tfrecord"}
    history = tsm.run(main, files, num_workers=2)[0]
    for epoch, accuracy in enumerate(history["val_accuracy"], 1):
        print(f"epoch {epoch}: accuracy on the TFRecords {accuracy:.3f}")
