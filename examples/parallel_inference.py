"""Inference in parallel: independent programs, each with its own part of the files.

    python examples/parallel_inference.py
    spark-submit --master spark://host:7077 examples/parallel_inference.py

`tsm.run_parallel` starts one program for each of its arguments, as many at a time as there are
free task slots. They know nothing of each other. For predictions beside the rows of a DataFrame
there is `tsm.predict`; this is for programs that read and write their own files.
"""

import tempfile
from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

DATA = Path(__file__).resolve().parent / "data"


def train(args, ctx):
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
        model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(ctx.dataset(batch_size=64, features="image", label="label"), epochs=3, verbose=0)
    return ctx.export(model, args["model"])


def predict(args, ctx):
    """Writes which digits one row group shows, and returns how many were right."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import tensorflow as tf

    model = tf.saved_model.load(args["model"])
    digits = pq.ParquetFile(args["file"]).read_row_group(args["row_group"])
    images = tf.constant(digits["image"].to_pylist(), tf.float32)
    guesses = tf.argmax(model.serve(images), axis=1).numpy()
    pq.write_table(
        digits.append_column("guess", pa.array(guesses)),
        f"{args['output']}/part-{args['row_group']}.parquet",
    )
    return int((guesses == digits["label"].to_numpy()).sum()), len(guesses)


if __name__ == "__main__":
    spark = start_spark("parallel inference")
    output = tempfile.mkdtemp(prefix="guesses-")
    digits = spark.read.parquet(str(DATA / "mnist_train.parquet"))
    [model, _] = tsm.run(train, {"model": f"{output}/model"}, data=digits, num_workers=2)

    test = {"model": model, "file": str(DATA / "mnist_test.parquet"), "output": output}
    results = tsm.run_parallel(predict, [{**test, "row_group": number} for number in range(2)])
    for number, (right, rows) in enumerate(results):
        print(f"program {number}: {right} of {rows} digits are right")
    written = spark.read.parquet(f"{output}/*.parquet")
    print(f"test accuracy: {written.where('guess = label').count() / written.count():.3f}")
