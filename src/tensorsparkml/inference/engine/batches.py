"""Spark's record batches become batches of the model's size, and work goes on ahead."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pyarrow as pa

from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.inference.engine.inputs import numpy_dtype
from tensorsparkml.inference.models.signature import TensorSpec

Item = TypeVar("Item")

USUAL_ROWS = 1024
_MOST_ROWS = 4096  # of few numbers
_FEW_NUMBERS_BYTES = 256  # a row's, for which a call costs more than what the model computes
_MOST_BYTES = 32 * 2**20
_STRING_BYTES = 64  # a guess


def default_batch_size(inputs: Sequence[TensorSpec]) -> int:
    """Return how many rows a model gets at once, a power of two.

    More rows take more memory: several batches are under way at once, and TensorFlow needs a
    multiple of them for its activations. They are worth it for rows of a few floating-point
    numbers only. Integers and strings are not counted as few, because what a model embeds is much
    larger than what it gets.

    Args:
        inputs: What the model takes. Dimensions that it leaves open count as 1.
    """
    per_row = sum(map(_bytes_of_row, inputs))
    if inputs and all(map(_is_numeric, inputs)) and per_row <= _FEW_NUMBERS_BYTES:
        return _MOST_ROWS
    fitting = max(1, _MOST_BYTES // max(per_row, 1))
    return int(min(USUAL_ROWS, 2 ** (fitting.bit_length() - 1)))


def _bytes_of_row(spec: TensorSpec) -> int:
    size = _STRING_BYTES if spec.dtype == "string" else numpy_dtype(spec.dtype).itemsize
    return size * math.prod(length or 1 for length in spec.row_shape or ())


def _is_numeric(spec: TensorSpec) -> bool:
    """Return whether an input takes floating-point numbers, as many for each row."""
    closed = spec.row_shape is not None and None not in spec.row_shape
    return closed and numpy_dtype(spec.dtype).kind == "f"


def regrouped(
    batches: Iterator[pa.RecordBatch], size: int, partition: int
) -> Iterator[list[LocatedBatch]]:
    """Yield the rows in groups of one size; the last group may be smaller.

    Args:
        batches: The rows of one partition, in batches of any sizes.
        size: Number of rows in a group.
        partition: Index of the partition.
    """
    group: list[LocatedBatch] = []
    lacking, row = size, 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, lacking)
            group.append(LocatedBatch(part, Origin(partition, row + start)))
            start += part.num_rows
            lacking -= part.num_rows
            if lacking == 0:
                yield group
                group, lacking = [], size
        row += batch.num_rows
    if group:
        yield group


def ahead(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """Yield the items of an iterator that a thread of its own runs, some of them in advance.

    What the iterator raises is raised here, after the items before it. When this generator is
    closed, the thread ends once the iterator gives its next item.

    Args:
        items: The iterator.
        depth: How many items wait at most.
    """
    results: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(depth)
    closed = threading.Event()

    def put(last: bool, value: Item | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return results.put((last, value), timeout=_CLOSED_SECONDS)
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(False, item)
                if closed.is_set():
                    return
        except BaseException as error:  # raised again where the items are awaited
            put(True, error)
        else:
            put(True, None)

    threading.Thread(target=run, name="ahead", daemon=True).start()
    try:
        while True:
            last, value = results.get()
            if not last:
                yield value  # type: ignore[misc]
            elif isinstance(value, BaseException):
                raise value
            else:
                return
    finally:
        closed.set()


_CLOSED_SECONDS = 0.1  # until a thread with a full queue notices that nobody takes from it
