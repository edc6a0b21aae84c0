"""The rows that are measured: Parquet files for Spark and Arrow files for bare processes.

They are made once, below `build/benchmarks`, from a fixed seed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tensorsparkml import Column, Matrix

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "benchmarks"
NODES = 2

_PIXELS = 784
_IMAGE_BYTES = 3_136
_COLUMNS = 20
_MANY_COLUMNS = 1_500
_FILES = 16
_RECORD_BATCH = 10_000  # rows, as Spark has them by default


@dataclass(frozen=True)
class Kind:
    """One kind of row.

    Attributes:
        title: What the report calls it.
        rows: Rows of a full run.
        batch_size: Rows of a batch on each node, and in the bare processes.
        features: What `x` is made of; None for a dict of all columns.
        label: Column of `y`, or None.
        make: Makes a table of so many rows.
        convert: How columns become tensors, where the default is not wanted.
    """

    title: str
    rows: int
    batch_size: int
    features: str | Matrix | None
    label: str | None
    make: Callable[[np.random.Generator, int], pa.Table]
    convert: Mapping[str, Column] = field(default_factory=dict)

    def dataset(self) -> dict[str, Any]:
        """Return the arguments of `ctx.dataset` and `ctx.read_parquet`."""
        return {
            "batch_size": self.batch_size,
            "features": self.features,
            "label": self.label,
            "convert": self.convert,
        }


def _labels(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(rng.integers(0, 10, rows, dtype=np.int32))


def _floats(rng: np.random.Generator, rows: int) -> pa.Table:
    pixels = rng.integers(0, 256, rows * _PIXELS, dtype=np.uint8).astype(np.float32)
    offsets = np.arange(rows + 1, dtype=np.int32) * _PIXELS
    return pa.table({"x": pa.ListArray.from_arrays(offsets, pixels), "label": _labels(rng, rows)})


def _images(rng: np.random.Generator, rows: int) -> pa.Table:
    offsets = np.arange(rows + 1, dtype=np.int32) * _IMAGE_BYTES
    content = pa.py_buffer(rng.bytes(rows * _IMAGE_BYTES))
    image = pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), content])
    return pa.table({"x": image, "label": _labels(rng, rows)})


def _scalars(rng: np.random.Generator, rows: int) -> pa.Table:
    return _columns(rng, rows, _COLUMNS)


def _many_scalars(rng: np.random.Generator, rows: int) -> pa.Table:
    return _columns(rng, rows, _MANY_COLUMNS)


def _columns(rng: np.random.Generator, rows: int, count: int) -> pa.Table:
    values = rng.standard_normal((count, rows), dtype=np.float32)
    return pa.table({f"c{index:02}": column for index, column in enumerate(values)})


KINDS = {
    "floats": Kind("784 floats and a label", 160_000, 256, "x", "label", _floats),
    "images": Kind(
        "3,136-byte images and a label",
        200_000,
        256,
        "x",
        "label",
        _images,
        {"x": Column(dtype="uint8")},
    ),
    "scalars": Kind("20 scalar columns", 3_200_000, 4_096, None, None, _scalars),
}
# Of one benchmark alone: a tensor for each of so many columns takes long.
WIDE_KINDS = {
    "matrix": Kind("1,500 columns in a `Matrix`", 64_000, 256, Matrix("c*"), None, _many_scalars),
    "columns": Kind("1,500 columns", 16_384, 256, None, None, _many_scalars),
}
ALL_KINDS = KINDS | WIDE_KINDS


def record_batches(kind: str, count: int) -> list[pa.RecordBatch]:
    """So many record batches, as Spark cuts rows by default."""
    rng = np.random.default_rng(1998)
    tables = (KINDS[kind].make(rng, _RECORD_BATCH) for _ in range(count))
    return [table.combine_chunks().to_batches()[0] for table in tables]


def parquet_files(kind: str, rows: int) -> list[Path]:
    """Paths of Parquet files of equal size that hold so many rows of a kind together."""
    # Random bytes and numbers do not get smaller; pixels do, by their dictionary.
    options = {"compression": "none", "use_dictionary": kind == "floats"}
    return made_files(kind, rows, ALL_KINDS[kind].make, options)


def made_files(
    name: str,
    rows: int,
    make: Callable[[np.random.Generator, int], pa.Table],
    options: Mapping[str, Any],
) -> list[Path]:
    """Paths of Parquet files of equal size, which are made when they are not there.

    Args:
        name: What they are.
        rows: How many rows they hold together.
        make: Makes a table of so many rows.
        options: How the files are written, as PyArrow takes it.
    """
    folder = CACHE / f"{name}-{rows}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        rng = np.random.default_rng(1998)
        for index in range(_FILES):
            table = make(rng, rows // _FILES + (index < rows % _FILES))
            pq.write_table(table, partial / f"part-{index:02}.parquet", **options)
        partial.rename(folder)
    return sorted(folder.glob("*.parquet"))


def node_files(kind: str, rows: int) -> list[Path]:
    """An Arrow file for each node, which together hold the rows of the Parquet files."""
    files = parquet_files(kind, rows)
    targets = [CACHE / f"{kind}-{rows}-node-{node}.arrow" for node in range(NODES)]
    for node, target in enumerate(targets):
        if not target.exists():
            partial = target.with_suffix(".partial")
            own = ds.dataset([str(path) for path in files[node::NODES]])
            with pa.ipc.new_file(str(partial), own.schema) as writer:
                for batch in _rebatched(own.to_batches()):
                    writer.write_batch(batch)
            partial.rename(target)
    return targets


def _rebatched(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_batches(batches).combine_chunks()
    yield from table.to_batches(max_chunksize=_RECORD_BATCH // NODES)


def digits() -> Path:
    """The demo's digits for training, as a Parquet file."""
    return ROOT / "examples" / "data" / "mnist_train.parquet"


def digits_in_arrays() -> list[Path]:
    """The same rows as arrays, a file for each node."""
    targets = [CACHE / f"digits-node-{node}.npz" for node in range(NODES)]
    if not all(target.exists() for target in targets):
        CACHE.mkdir(parents=True, exist_ok=True)
        table = pq.read_table(digits())
        images = table["image"].combine_chunks().flatten().to_numpy().reshape(-1, _PIXELS)
        labels = table["label"].to_numpy()
        for node, target in enumerate(targets):
            np.savez(target, image=images[node::NODES], label=labels[node::NODES])
    return targets
