"""A pool of memory that is reused for the next arrays once nobody holds the last ones.

Memory that is new to a process costs more than a copy into it: the kernel hands it over page by
page, and clears it. TensorFlow's generators let malloc give back at once what is freed ("Memory
patch applied" in its log), so every batch would pay for that.
"""

from __future__ import annotations

import sys
import threading

import numpy as np

__all__ = ["Buffers"]

_LEAST_BYTES = 2**16  # below, malloc has memory at hand


class Buffers:
    """Gives out memory, and finds by its references that it is free again.

    Every array in a buffer refers to it, whoever holds the array: a program, or TensorFlow for a
    tensor that took the array over.

    Args:
        limit: Bytes that are kept at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._buffers: list[np.ndarray] = []  # the one that was given out last at the end

    @property
    def kept_bytes(self) -> int:
        """How much is kept, in use or free."""
        with self._lock:
            return sum(map(len, self._buffers))

    def take(self, size: int) -> np.ndarray:
        """Return that many bytes, of any content, that nobody else uses.

        Args:
            size: Number of bytes.

        Returns:
            An array of uint8, shape `(size,)`.
        """
        if size < _LEAST_BYTES:
            return np.empty(size, np.uint8)
        with self._lock:
            buffers = self._buffers
            for index in range(len(buffers)):
                # One reference is the list's, and one that of the call.
                if len(buffers[index]) == size and sys.getrefcount(buffers[index]) == 2:
                    buffers.append(buffers.pop(index))
                    return buffers[-1]
            new = np.empty(size, np.uint8)
            buffers.append(new)
            kept = sum(map(len, buffers))
            while kept > self._limit:
                kept -= len(buffers.pop(0))
            return new
