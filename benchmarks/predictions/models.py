"""The models that are applied. Run as a program, it exports one: `… NAME FOLDER`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from benchmarks import data

COLUMNS = [f"c{number:02}" for number in range(20)]


def model_path(name: str) -> str:
    """The folder of an exported model, which a process of its own writes when there is none."""
    path = data.CACHE / "models" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "benchmarks.predictions.models", name, str(path)],
            cwd=data.ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return str(path)


def _make_model(name: str) -> Any:
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1998)
    if name == "jpeg":
        shape = (224, 224, 3)
        backbone = keras.applications.MobileNetV2(weights=None, input_shape=shape, classes=10)
        scaled = layers.Rescaling(1 / 255)
        return keras.Sequential([keras.Input(shape, name="x"), scaled, backbone])
    if name == "images":
        return keras.Sequential(
            [
                keras.Input((28, 28, 4), dtype="uint8", name="x"),
                layers.Rescaling(1 / 255),
                layers.Conv2D(8, 3, strides=2, activation="relu"),
                layers.Conv2D(16, 3, strides=2, activation="relu"),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
    width = 784 if name == "floats" else len(COLUMNS)
    return keras.Sequential(
        [
            keras.Input((width,), name="x"),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _make_model(sys.argv[1]).export(sys.argv[2], verbose=False)
