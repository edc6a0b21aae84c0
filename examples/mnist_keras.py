"""Train a small convolutional network on handwritten digits, on Spark's executors.

Run it on this machine, with two executor processes, or on a cluster:

    python examples/mnist_keras.py
    python examples/mnist_keras.py --master spark://host:7077
    spark-submit --master spark://host:7077 examples/mnist_keras.py
"""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

import tensorsparkml as tsm

DATA = Path(__file__).parent / "data"


def make_model():
    import keras

    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Reshape((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    adam = keras.optimizers.Adam(2e-3)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(args, ctx):
    import keras

    keras.utils.set_random_seed(7)
    with ctx.strategy.scope():
        model = make_model()
    history = model.fit(
        ctx.dataset(batch_size=64, features="image", label="label"),
        epochs=args["epochs"],
        callbacks=ctx.callbacks(tensorboard=True),
        verbose=0,
    )
    ctx.export(model, args["export_dir"])
    return history.history


def test_accuracy(spark, model):
    from pyspark.sql import functions as F

    digits = spark.read.parquet(str(DATA / "mnist_test.parquet"))
    predicted = tsm.predict(digits, model, features="image")
    scores = F.col("prediction")
    digit = F.array_position(scores, F.array_max(scores)) - 1
    return predicted.select(F.avg((digit == F.col("label")).cast("int"))).first()[0]


def run():
    from session import start_spark

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--master", default="local-cluster[2,2,1024]", help="Spark master")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--output", help="folder for the model and the logs; default: a new one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("tensorsparkml.progress").setLevel(logging.INFO)
    logging.getLogger("tensorsparkml.driver").setLevel(logging.INFO)
    output = Path(arguments.output or tempfile.mkdtemp(prefix="digits-")).absolute()
    logs = output / "logs"
    began = time.monotonic()
    spark = start_spark("digits", arguments.master)
    digits = spark.read.parquet(str(DATA / "mnist_train.parquet"))
    args = {"epochs": arguments.epochs, "export_dir": str(output / "model")}
    with tsm.Cluster(main, args, num_workers=2, log_dir=str(logs)) as cluster:
        cluster.train(digits)
    accuracy = test_accuracy(spark, args["export_dir"])
    print(f"training accuracy  {cluster.results[0]['accuracy'][-1]:.4f}")
    print(f"test accuracy      {accuracy:.4f}")
    print(f"model              {args['export_dir']}")
    print(f"nodes' logs        {logs / 'nodes'}")
    print(f"TensorBoard files  {logs} (tensorboard --logdir {logs})")
    print(f"seconds            {time.monotonic() - began:.0f}")


if __name__ == "__main__":
    run()
