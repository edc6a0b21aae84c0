"""Search for the best learning rate and width: every trial is a program of its own.

    python examples/hyperparameter_search.py
    spark-submit --master spark://host:7077 examples/hyperparameter_search.py

`tsm.run_parallel` runs as many trials at a time as there are free task slots, and returns what
each returned, in the order of the trials.
"""

from itertools import product
from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

DATA = Path(__file__).resolve().parent / "data"


def trial(args, ctx):
    """Trains with one choice of settings, and returns the accuracy on digits kept apart."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Rescaling(1 / 255),
            layers.Dense(args["units"], activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(args["learning_rate"]),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    columns = {"features": "image", "label": "label"}
    history = model.fit(
        ctx.read_parquet(str(DATA / "mnist_train.parquet"), batch_size=64, **columns),
        validation_data=ctx.read_parquet(
            str(DATA / "mnist_test.parquet"), batch_size=500, **columns
        ),
        epochs=2,
        verbose=0,
    )
    return history.history["val_accuracy"][-1]


if __name__ == "__main__":
    start_spark("search")
    trials = [
        {"learning_rate": rate, "units": units} for rate, units in product((1e-5, 1e-3), (16, 128))
    ]
    accuracies = tsm.run_parallel(trial, trials)
    for settings, accuracy in zip(trials, accuracies, strict=True):
        print(f"{settings}: accuracy {accuracy:.3f}")
    best = max(range(len(trials)), key=accuracies.__getitem__)
    print(f"best: {trials[best]} with accuracy {accuracies[best]:.3f}")
