"""The Keras of a program: Keras 3, or with `legacy_keras` Keras 2, the package tf_keras."""

from __future__ import annotations

from typing import Any

__all__ = ["is_of_keras_2", "program_keras"]


def program_keras() -> Any:
    """Return the program's Keras, which is `tf.keras`."""
    import tensorflow as tf

    return tf.keras


def is_of_keras_2(kind: type) -> bool:
    """Whether a class, such as that of a model, is one of Keras 2 or is derived from one."""
    return any(base.__module__.startswith("tf_keras.") for base in kind.__mro__)
