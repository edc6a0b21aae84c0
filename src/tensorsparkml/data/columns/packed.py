"""Binaries that hold numbers one after the other, as images and embeddings often lie in tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tensorsparkml.data.columns.misfit import Misfit
from tensorsparkml.errors import RaggedColumnError

__all__ = ["packed_count", "packed_numbers"]

Sizes = tuple[int, ...]


def packed_count(dtype: np.dtype) -> Callable[[pa.Array], Sizes]:
    """Return what tells how many numbers of a dtype the first of some binaries holds."""
    return lambda values: (int(_offsets(values.slice(0, 1))[-1]) // dtype.itemsize,)


def packed_numbers(dtype: np.dtype) -> Callable[[pa.Array, Sizes], np.ndarray]:
    """Return what converts binaries to an array of shape (len(values), count), without a copy.

    The numbers lie in the binaries as in memory. What is returned raises `Misfit` for a binary of
    another size.
    """

    def convert(values: pa.Array, sizes: Sizes) -> np.ndarray:
        [count] = sizes
        width, offsets = count * dtype.itemsize, _offsets(values)
        wrong = np.diff(offsets) != width
        if wrong.any():
            index = int(np.argmax(wrong))
            raise Misfit(
                RaggedColumnError,
                index,
                f"has a binary of {offsets[index + 1] - offsets[index]} bytes",
                f"All rows of the column need {width} bytes, for {count} numbers of dtype {dtype}. "
                "Correct or drop other rows in Spark.",
            )
        if not width:
            return np.empty((len(values), 0), dtype)
        first = int(_begin(values))
        data = np.frombuffer(values.buffers()[2], np.uint8)[first : first + width * len(values)]
        return data.view(dtype).reshape(len(values), count)

    return convert


def _begin(values: pa.Array) -> int:
    return int(_raw_offsets(values)[0])


def _offsets(values: pa.Array) -> np.ndarray:
    """Return where each value begins and ends, from the first one's beginning on."""
    offsets: np.ndarray = _raw_offsets(values)
    moved: np.ndarray = offsets - offsets[0]
    return moved


def _raw_offsets(values: pa.Array) -> np.ndarray:
    width = np.int64 if pa.types.is_large_binary(values.type) else np.int32
    offsets: np.ndarray = np.frombuffer(values.buffers()[1], width)
    return offsets[values.offset : values.offset + len(values) + 1]
