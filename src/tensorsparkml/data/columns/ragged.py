"""`Ragged`: rows of lists of any length, as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Ragged(NamedTuple):
    """Rows of lists of any length; `tf.RaggedTensor.from_nested_row_splits` takes both fields.

    The innermost lists are `values[splits[i]:splits[i + 1]]` with `splits = row_splits[-1]`; the
    array before it in `row_splits` cuts these into lists of lists, and so on.

    Attributes:
        values: The innermost elements of all rows one after the other, shape `(elements, ...)`.
        row_splits: For every size that varies, from the outside, where each list begins and
            the last one ends: int64, shape `(lists + 1,)`.
    """

    values: np.ndarray
    row_splits: tuple[np.ndarray, ...]


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """Return the rows of all parts, of which there is at least one."""
    splits = []
    for level in zip(*(part.row_splits for part in parts), strict=True):
        starts = np.cumsum([0, *(each[-1] for each in level)])
        moved = [each[1:] + start for each, start in zip(level, starts[:-1], strict=True)]
        splits.append(np.concatenate([np.zeros(1, np.int64), *moved]))
    return Ragged(np.concatenate([part.values for part in parts]), tuple(splits))
