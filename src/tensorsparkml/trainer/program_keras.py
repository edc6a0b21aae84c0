"""The Keras of a program."""

from __future__ import annotations

from typing import Any

from tensorsparkml.program.keras_versions import is_of_keras_2


def program_keras() -> Any:
    """Return the program's Keras: Keras 3, or with `legacy_keras` Keras 2."""
    import tensorflow as tf

    if is_of_keras_2(tf.keras.Model):
        return tf.keras
    import keras  # `tf.keras` lacks some of its modules, such as `saving`

    return keras
