"""Find the discs in pictures with a small U-Net, on one machine.

    python examples/single_machine/segmentation.py

examples/segmentation.py is the same program on Spark.
"""

import keras
import numpy as np
from keras import layers

PICTURES = range(1200)
TEST_PICTURES = range(10_000, 10_400)


def draw(number):
    """A noisy picture of three discs on stripes, and its mask: 1 where there is a disc."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[:32, :32]
    mask = np.zeros((32, 32), bool)
    for center_y, center_x, radius in random.uniform((2, 2, 2), (30, 30, 7), (3, 3)):
        mask |= (y - center_y) ** 2 + (x - center_x) ** 2 < radius**2
    stripes = np.sin(random.uniform(-1, 1) * x + random.uniform(-1, 1) * y)
    picture = np.where(mask, 0.5, 0.3 * stripes) + random.normal(0, 0.3, (32, 32))
    return picture.tolist(), mask.astype(float).tolist()


def load(numbers):
    images, masks = zip(*map(draw, numbers), strict=True)
    return np.array(images), np.array(masks)


def make_model():
    def twice(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    image = keras.Input((32, 32))
    whole = twice(layers.Reshape((32, 32, 1))(image), 8)
    half = twice(layers.MaxPooling2D()(whole), 16)
    quarter = twice(layers.MaxPooling2D()(half), 32)
    half = twice(layers.Concatenate()([layers.UpSampling2D()(quarter), half]), 16)
    whole = twice(layers.Concatenate()([layers.UpSampling2D()(half), whole]), 8)
    mask = layers.Reshape((32, 32))(layers.Conv2D(1, 1, activation="sigmoid")(whole))
    model = keras.Model(image, mask)
    iou = keras.metrics.BinaryIoU(target_class_ids=[1], name="iou")
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=[iou])
    return model


def main(epochs):
    keras.utils.set_random_seed(1)
    model = make_model()
    model.fit(*load(PICTURES), batch_size=64, epochs=epochs, verbose=0)
    return model.get_weights()


if __name__ == "__main__":
    weights = main(5)
    model = make_model()
    model.set_weights(weights)
    loss, iou = model.evaluate(*load(TEST_PICTURES), verbose=0)
    print(f"intersection over union of unseen pictures {iou:.3f}")
