"""Train a residual network on images of 32 by 32 pixels, on one machine.

    python examples/single_machine/resnet.py

examples/resnet.py is the same program on Spark.
"""

from pathlib import Path

import keras
import numpy as np
import pyarrow.parquet as pq
from keras import layers

DATA = Path(__file__).resolve().parents[1] / "data"


def residual_block(x, filters, stride):
    def convolution(x, size, stride):
        x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    y = layers.ReLU()(convolution(x, 3, stride))
    y = convolution(y, 3, 1)
    if stride != 1:
        x = convolution(x, 1, stride)
    return layers.ReLU()(layers.Add()([x, y]))


def make_model():
    digit = keras.Input((784,))  # 28 by 28 pixels, with a border of 2 on each side
    x = layers.ZeroPadding2D(2)(layers.Reshape((28, 28, 1))(layers.Rescaling(1 / 255)(digit)))
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(x)
    for filters, stride in ((8, 1), (16, 2), (32, 2)):
        x = residual_block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(digit, layers.Dense(10, activation="softmax")(x))
    model.compile(
        keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def load(name):
    table = pq.read_table(DATA / name)
    return np.stack(table["image"].to_numpy()), table["label"].to_numpy()


def main(epochs):
    keras.utils.set_random_seed(1)
    model = make_model()
    model.fit(*load("mnist_train.parquet"), batch_size=128, epochs=epochs, verbose=0)
    return model.get_weights()


if __name__ == "__main__":
    weights = main(3)
    model = make_model()
    model.set_weights(weights)
    loss, accuracy = model.evaluate(*load("mnist_test.parquet"), verbose=0)
    print(f"test accuracy {accuracy:.3f}")
