"""Memory is used again, and never while somebody has an array in it."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from tensorsparkml.data.memory.pool import Buffers

SIZE = 2**17


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_memory_that_nobody_has_is_used_again() -> None:
    buffers = Buffers(4 * SIZE)
    first = buffers.take(SIZE)
    place = address(first)
    del first
    assert address(buffers.take(SIZE)) == place
    assert buffers.kept_bytes == SIZE


@pytest.mark.parametrize(
    "keep",
    [
        lambda memory: memory,
        lambda memory: memory[8:16],
        lambda memory: memory[64:].view(np.float32)[::2].reshape(2, -1).T,
        lambda memory: memoryview(memory),
        lambda memory: [{"x": memory[1:].view()}],
    ],
)
def test_memory_that_somebody_has_is_not(keep: object) -> None:
    buffers = Buffers(4 * SIZE)
    memory = buffers.take(SIZE)
    place, kept = address(memory), keep(memory)  # type: ignore[operator]
    del memory
    other = buffers.take(SIZE)
    assert address(other) != place
    del kept
    assert address(buffers.take(SIZE)) == place


def test_what_is_kept_is_limited() -> None:
    buffers = Buffers(3 * SIZE)
    held = [buffers.take(SIZE) for _ in range(5)]
    assert len({address(memory) for memory in held}) == 5
    assert buffers.kept_bytes == 3 * SIZE
    buffers.take(2 * SIZE)  # instead of those that were given out first
    assert buffers.kept_bytes == 3 * SIZE
    buffers.take(4 * SIZE)
    assert buffers.kept_bytes == 0


def test_small_memory_is_not_kept() -> None:
    buffers = Buffers(4 * SIZE)
    assert buffers.take(100).shape == (100,)
    assert buffers.kept_bytes == 0


def test_threads_never_share_memory() -> None:
    buffers = Buffers(20 * SIZE)
    spoiled = []

    def work(mark: int) -> None:
        draw, held = random.Random(mark), []
        for _ in range(300):
            memory = buffers.take(draw.choice([SIZE, 2 * SIZE]))[mark:]
            memory[:] = mark
            held.append(memory)
            if draw.random() < 0.7:
                checked = held.pop(draw.randrange(len(held)))
                if not (checked == mark).all():
                    spoiled.append(mark)
            held = held[-4:]

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not spoiled
