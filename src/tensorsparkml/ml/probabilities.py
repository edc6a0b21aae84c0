"""The columns that Spark ML's classifiers add, from a model's output. Runs in Spark's Python.

The formulas are those of Spark's logistic regression and of xgboost.spark: two classes have the
logits -m and m, several have one each, and the probabilities follow from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST = np.finfo(np.float32).tiny  # a probability whose logarithm is finite


@dataclass(frozen=True)
class _OfOutput:
    """What follows from a model's output.

    Attributes:
        binary: Whether the model has one number for two classes.
        from_logits: Whether the model gives logits, and not probabilities.
    """

    binary: bool
    from_logits: bool


@dataclass(frozen=True)
class Logits(_OfOutput):
    """Logits of all classes, shape `(rows, classes)`, float64."""

    def __call__(self, output: np.ndarray) -> np.ndarray:
        """Return the logits, of an output of shape `(rows,)`, `(rows, 1)` or `(rows, classes)`."""
        values = np.asarray(output, np.float64)
        if self.binary:
            values = values.reshape(len(values))
            margin = values if self.from_logits else _logarithm(values) - _logarithm(1 - values)
            return np.stack([-margin, margin], axis=1)
        return values if self.from_logits else _logarithm(values)


@dataclass(frozen=True)
class Probabilities(_OfOutput):
    """Probabilities of all classes, shape `(rows, classes)`, float64."""

    def __call__(self, output: np.ndarray) -> np.ndarray:
        """Return the probabilities, of an output as for `Logits`."""
        values = np.asarray(output, np.float64)
        if self.binary:
            values = values.reshape(len(values))
            second = 1 / (1 + np.exp(-values)) if self.from_logits else values
            return np.stack([1 - second, second], axis=1)
        if not self.from_logits:
            return values
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return found


@dataclass(frozen=True)
class Class(_OfOutput):
    """The number of the most probable class, shape `(rows,)`, float64."""

    def __call__(self, output: np.ndarray) -> np.ndarray:
        """Return the classes, of an output as for `Logits`."""
        if self.binary:
            values = output.reshape(len(output))
            found = values > (0 if self.from_logits else 0.5)
        else:
            found = np.argmax(output, axis=1)
        return np.asarray(found, np.float64)


def _logarithm(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(np.maximum(values, _LEAST))
    return found
