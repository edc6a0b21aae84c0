"""Arrays that TensorFlow takes over as they are: what it computes from them, it may write there.

An array that a dataset's generator yields becomes a tensor without a copy where it begins at a
multiple of 64 bytes, whoever owns its memory. TensorFlow then computes in place when nobody else
holds the tensor: in a memory-mapped file that ends the process, in a shared array it changes what
others read (seen with 2.21). So what it gets is always its own; and aligned, which spares a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorsparkml.data.memory.pool import Buffers

__all__ = ["ALIGNMENT", "concatenate", "empty", "is_aligned", "own"]

ALIGNMENT = 64  # bytes; TensorFlow's EIGEN_MAX_ALIGN_BYTES

# A few of the chunks of 8 MiB that datasets hand to TensorFlow.
_BUFFERS = Buffers(64 * 2**20)


def is_aligned(array: np.ndarray) -> bool:
    """Whether an array lies in one piece that begins where TensorFlow wants it, or is empty."""
    begins_well = array.size == 0 or array.ctypes.data % ALIGNMENT == 0
    return array.flags.c_contiguous and begins_well


def own(array: np.ndarray) -> np.ndarray:
    """Return an aligned copy of an array; Python objects, which TensorFlow copies, stay."""
    return array if array.dtype.hasobject else concatenate([array])


def concatenate(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return arrays one after the other, along the first axis, in aligned memory of their own.

    Args:
        parts: At least one array; all have the same dtype, and the same shape but for the first
            axis.
    """
    first = parts[0]
    if first.dtype.hasobject:
        return np.concatenate(parts)
    shape = (sum(len(part) for part in parts), *first.shape[1:])
    return np.concatenate(parts, out=empty(shape, first.dtype))


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array of any content, but not of Python objects, in aligned memory of its own."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = _BUFFERS.take(size + ALIGNMENT)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)
