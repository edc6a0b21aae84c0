"""Orders that follow from a seed: equal seeds give equal orders, on every machine.

What is read is shuffled twice: the parts of files among each other, which the nodes do alike, and
the rows within windows of what a node reads, which each does by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tensorsparkml.errors import ConfigurationError

Item = TypeVar("Item")

WINDOW_ROWS = 16_384  # that are shuffled among each other, unless the program says otherwise


def check_seed(shuffle: bool, seed: int | None) -> int | None:
    """Return the seed to use, drawn where the user gave none, or None where nothing is shuffled.

    Raises:
        ConfigurationError: The two do not fit together.
    """
    if seed is None:
        return secrets.randbits(62) if shuffle else None
    if not shuffle:
        raise ConfigurationError(f"seed={seed!r} requires shuffle=True")
    return seed


def shuffled(items: Sequence[Item], seed: int, epoch: int) -> list[Item]:
    """Return the items in the order of an epoch; the same on every node.

    Args:
        items: What is to be shuffled.
        seed: Any integer that is not negative.
        epoch: Number of the pass, from 0.
    """
    order = _generator(seed, epoch).permutation(len(items))
    return [items[index] for index in order]


def window_order(rows: int, seed: int, epoch: int, rank: int, window: int) -> np.ndarray:
    """Return the order in which a node yields the rows of one window.

    Args:
        rows: Rows of the window.
        seed: Any integer that is not negative.
        epoch: Number of the pass, from 0.
        rank: Rank of the node.
        window: Number of the window in the pass, from 0.

    Returns:
        A permutation of the rows' places, shape `(rows,)`, int64.
    """
    return _generator(seed, epoch, rank, window).permutation(rows)


def window_seed(seed: int, epoch: int, rank: int) -> int:
    """Return the seed from which TensorFlow shuffles what a node reads in an epoch."""
    return int(_generator(seed, epoch, rank).integers(1, 2**62))


def _generator(*entropy: int) -> np.random.Generator:
    # Named, because NumPy may change what default_rng() returns. A SeedSequence takes (1,) and
    # (1, 0) for the same, hence the length.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((len(entropy), *entropy))))
