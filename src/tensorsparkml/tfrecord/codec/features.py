"""Columns of TFRecord files, and the kinds of features that they hold.

The messages: https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/example/feature.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa


class Kind(IntEnum):
    """The kinds of features, by the numbers of their fields in the message `Feature`."""

    BYTES = 1
    FLOAT = 2
    INT64 = 3

    @property
    def type(self) -> pa.DataType:
        """The type of a value."""
        return {Kind.BYTES: pa.binary(), Kind.FLOAT: pa.float32(), Kind.INT64: pa.int64()}[self]

    @property
    def words(self) -> str:
        """Its values, as messages name them."""
        return {Kind.BYTES: "bytes", Kind.FLOAT: "floats", Kind.INT64: "integers"}[self]


@dataclass(frozen=True)
class FeatureColumn:
    """A column that is a feature of each record, or a feature list.

    Attributes:
        name: Its name.
        kind: What its values are.
        depth: 0 for one value, 1 for a list of them, 2 for a list of lists.
        steps: Whether it is a feature list of a `SequenceExample`: each element is a step.
    """

    name: str
    kind: Kind
    depth: int = 0
    steps: bool = False

    @property
    def type(self) -> pa.DataType:
        """The type of the column."""
        found = self.kind.type
        for _ in range(self.depth):
            found = pa.list_(found)
        return found
