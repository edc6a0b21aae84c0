"""Binary values become arrays: images, or what a function of the user's makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tensorsparkml.errors import DataError


@dataclass(frozen=True)
class RowDecoder:
    """Decodes the bytes of each row with a function of the user's."""

    function: Callable[[bytes], Any]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the arrays of all rows, shape `(rows, ...)`."""
        found = [np.asarray(self.function(value)) for value in values]
        if not found:
            return np.empty((0,))
        shapes = {each.shape for each in found}
        if len(shapes) > 1:
            raise DataError(
                f"decode returned arrays of different shapes, {sorted(shapes)[:2]}; it must return "
                "one of the same shape for each row"
            )
        return np.stack(found)


@dataclass(frozen=True)
class ImageDecoder:
    """Decodes JPEG, PNG, GIF and BMP images, and resizes them.

    Attributes:
        height: Height of the results in pixels.
        width: Width of the results in pixels.
        channels: 1 for grey, 3 for red, green and blue, 4 with transparency.
        dtype: TensorFlow's name of the dtype of the results, which go from 0 to 255.
    """

    height: int
    width: int
    channels: int
    dtype: str

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the images, shape `(rows, height, width, channels)`."""
        import tensorflow as tf

        decode = _decoding(self.height, self.width, self.channels, self.dtype)
        found: np.ndarray = decode(tf.constant(values, tf.string)).numpy()
        return found


@lru_cache(maxsize=8)
def _decoding(height: int, width: int, channels: int, dtype: str) -> Any:
    import tensorflow as tf

    kind = tf.dtypes.as_dtype(dtype)

    def one(value: Any) -> Any:
        image = tf.io.decode_image(value, channels=channels, expand_animations=False)
        image.set_shape((None, None, channels))
        resized = tf.image.resize(image, (height, width))
        return tf.cast(tf.round(resized), kind) if kind.is_integer else tf.cast(resized, kind)

    def every(values: Any) -> Any:
        return tf.map_fn(one, values, fn_output_signature=kind, parallel_iterations=16)

    return tf.function(every, input_signature=[tf.TensorSpec([None], tf.string)])
