"""What a model takes and gives: names, dtypes and shapes. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: Its name.
        dtype: TensorFlow's name of the dtype, such as `float32` or `string`.
        shape: Its shape, with None for any size, or None for any shape. The first size is the
            number of rows.
        ragged: Whether it is a ragged tensor.
    """

    name: str
    dtype: str
    shape: Shape | None
    ragged: bool = False

    @property
    def row_shape(self) -> Shape | None:
        """The shape of one row, or None for any shape."""
        return None if self.shape is None else self.shape[1:]

    @property
    def rows(self) -> int | None:
        """How many rows the model takes at once, or None for any number."""
        return self.shape[0] if self.shape else None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.dtype} of any shape"
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape[1:])
        return f"{self.name}: {'ragged ' if self.ragged else ''}{self.dtype} ({sizes})"


@dataclass(frozen=True)
class Signature:
    """The inputs and the outputs of a model, in the model's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can express."""
        return {"inputs": _to_json(self.inputs), "outputs": _to_json(self.outputs)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Signature:
        """Return what `to_json` has described."""
        return cls(_from_json(value["inputs"]), _from_json(value["outputs"]))


def _to_json(specs: Sequence[TensorSpec]) -> list[list[Any]]:
    return [[each.name, each.dtype, each.shape, each.ragged] for each in specs]


def _from_json(values: list[list[Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, dtype, None if shape is None else tuple(shape), ragged)
        for name, dtype, shape, ragged in values
    )
