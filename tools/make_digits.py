"""Makes the Parquet files in examples/data from MNIST's four IDX files."""

import argparse
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = 10
PIXELS = 28 * 28
SCHEMA = pa.schema(
    [
        pa.field("image", pa.list_(pa.field("element", pa.int16(), nullable=False))),
        pa.field("label", pa.int32()),
    ]
)


def read_idx(path: Path) -> np.ndarray:
    """The array of bytes in a gzipped IDX file."""
    data = gzip.decompress(path.read_bytes())
    zero, dtype, rank = int.from_bytes(data[:2], "big"), data[2], data[3]
    if zero != 0 or dtype != 0x08:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    shape = np.frombuffer(data, ">i4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def choose(labels: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffled positions of `rows` digits, equally many of each class."""
    if rows % CLASSES:
        raise ValueError(f"{rows} rows cannot be shared equally by {CLASSES} classes")
    positions = [
        rng.choice(np.flatnonzero(labels == digit), rows // CLASSES, replace=False)
        for digit in range(CLASSES)
    ]
    return rng.permutation(np.concatenate(positions))


def to_table(images: np.ndarray, labels: np.ndarray) -> pa.Table:
    """The digits as columns that Spark reads as array<smallint> and int."""
    offsets = np.arange(len(images) + 1, dtype=np.int32) * PIXELS
    image = pa.ListArray.from_arrays(
        offsets, images.reshape(-1).astype(np.int16), type=SCHEMA.field("image").type
    )
    return pa.table([image, labels.astype(np.int32)], schema=SCHEMA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder of the four files *-ubyte.gz")
    parser.add_argument("target", type=Path, help="folder to write the Parquet files to")
    parser.add_argument("--train-rows", type=int, default=12_000)
    parser.add_argument("--test-rows", type=int, default=2_000)
    parser.add_argument("--row-group", type=int, default=1_000, help="rows per row group")
    parser.add_argument("--seed", type=int, default=1998)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    for source, target, rows in [
        ("train", "mnist_train", arguments.train_rows),
        ("t10k", "mnist_test", arguments.test_rows),
    ]:
        images = read_idx(arguments.source / f"{source}-images-idx3-ubyte.gz")
        labels = read_idx(arguments.source / f"{source}-labels-idx1-ubyte.gz")
        chosen = choose(labels, rows, rng)
        path = arguments.target / f"{target}.parquet"
        pq.write_table(
            to_table(images[chosen], labels[chosen]),
            path,
            row_group_size=arguments.row_group,
            compression="zstd",
            compression_level=19,
            write_statistics=False,
        )
        print(f"{path}: {rows:,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
