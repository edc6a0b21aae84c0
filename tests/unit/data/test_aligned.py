"""What TensorFlow takes over is aligned, and nobody else's."""

import numpy as np
import pytest

from tensorsparkml.data.memory.aligned import ALIGNMENT, concatenate, is_aligned, own

ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    np.array([True, False, True]),
    np.arange(1001, dtype=np.uint8)[1:],
    np.arange(20, dtype=np.int64)[::2],
    np.zeros((0, 3), np.float64),
    np.zeros((3, 0), np.float64),
]


@pytest.mark.parametrize("array", ARRAYS)
def test_a_copy_is_aligned_and_ones_own(array: np.ndarray) -> None:
    array.flags.writeable = False
    copy = own(array)
    assert is_aligned(copy) and copy.flags.writeable
    assert not np.shares_memory(copy, array)
    assert copy.dtype == array.dtype and copy.shape == array.shape
    np.testing.assert_array_equal(copy, array)


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_put_one_after_the_other(array: np.ndarray) -> None:
    together = concatenate([array, array[:1], array])
    assert is_aligned(together)
    np.testing.assert_array_equal(together, np.concatenate([array, array[:1], array]))


def test_python_objects_are_left_to_tensorflow() -> None:
    texts = np.array([b"one", b"two"], dtype=object)
    assert own(texts) is texts
    assert concatenate([texts, texts]).tolist() == [b"one", b"two", b"one", b"two"]


def test_what_is_not_aligned() -> None:
    whole = own(np.zeros(4 * ALIGNMENT, np.uint8))
    assert is_aligned(whole) and is_aligned(whole[ALIGNMENT:])
    assert not is_aligned(whole[8:])
    assert not is_aligned(whole[::2])
