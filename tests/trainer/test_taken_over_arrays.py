"""TensorFlow computes in place with what a generator yields; it must be nobody else's memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from test_tensors import Rows, dataset
from two_processes import Node, run_processes

ROWS, BATCH = 4096, 1024


def double_mapped_rows(node: Node, path: str) -> list[list[float]]:
    """Two passes over a column that lies aligned in a memory-mapped file."""
    import pyarrow as pa

    mapped = pa.memory_map(path).read_buffer()
    assert mapped.address % 64 == 0 and not mapped.is_mutable
    column = pa.Array.from_buffers(pa.float32(), ROWS, [None, mapped])
    batch = pa.record_batch({"x": column})
    doubled = dataset(batch, "x", batch_size=BATCH, transform=lambda x: x * 2.0 + 0.0)
    return [np.concatenate([x.numpy() for x in doubled]).tolist() for _ in range(2)]


def test_a_transform_leaves_the_mapped_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "column"
    rows = np.arange(ROWS, dtype=np.float32)
    path.write_bytes(rows.tobytes())
    [outcome] = run_processes(double_mapped_rows, nodes=1, path=str(path))
    assert outcome.value == [(2 * rows).tolist()] * 2
    assert path.read_bytes() == rows.tobytes()


def double_one_of_two(node: Node) -> Any:
    """A column is input and target, and its batches are put together from two slices each."""
    import pyarrow as pa

    from tensorsparkml.data.spool.segments import LocatedBatch, Origin
    from tensorsparkml.trainer.datasets.feed_reader import Rows as Batch
    from tensorsparkml.trainer.datasets.tf_dataset import BatchLayout, local_dataset

    class InHalves(Rows):
        def batches(self, size: int, drop_remainder: bool, at_once: int, least: int) -> Any:
            for start in range(0, ROWS, size):
                halves = (batch.slice(begin, size // 2) for begin in (start, start + size // 2))
                yield Batch([LocatedBatch(half, Origin(0, 0)) for half in halves], size, 1.0)

    batch = pa.record_batch({"x": pa.array(np.arange(ROWS, dtype=np.float32))})
    both = local_dataset(InHalves(batch), BatchLayout("x", "x", None), {}, BATCH, False)
    both = both.map(lambda x, y: (x * 2.0 + 0.0, y))
    return [(x.numpy().tolist(), y.numpy().tolist()) for x, y in both]


def test_a_column_that_is_input_and_target_is_two_tensors() -> None:
    [outcome] = run_processes(double_one_of_two, nodes=1)
    rows = np.arange(ROWS, dtype=np.float32).reshape(-1, BATCH)
    for (x, y), expected in zip(outcome.value, rows, strict=True):
        assert y == expected.tolist()
        assert x == (2 * expected).tolist()
