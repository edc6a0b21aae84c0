"""Damaged TFRecord files for the reader; `python tests/tfrecord_fuzz.py 600` reads for 600 seconds.

Files begin as good ones of random rows. Some bytes of them change, are lost, doubled or inserted,
before or after the records got their checksums, and before or after compression. Whatever they are,
the reader gives rows or a `DataError`, in bounded time and memory, and tasks that share a file give
the rows that one task gives.
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from tensorsparkml.errors import DataError
from tensorsparkml.tfrecord.codec.encode import encode_records
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.source.files import files_of, parts_of
from tensorsparkml.tfrecord.source.inference import infer_schema
from tensorsparkml.tfrecord.source.options import Mode, Options, RecordType, parse_options
from tensorsparkml.tfrecord.source.rows import RowReader
from tfrecord_bytes import framed

MOST_SECONDS = 20.0  # for one file, on a busy machine
MOST_BYTES = 400 * 2**20  # that the process may grow by
COLUMNS = [
    FeatureColumn("n", Kind.INT64),
    FeatureColumn("many", Kind.INT64, 1),
    FeatureColumn("f", Kind.FLOAT, 1),
    FeatureColumn("text", Kind.BYTES),
    FeatureColumn("parts", Kind.BYTES, 1),
]
STEPS = FeatureColumn("steps", Kind.INT64, 2, steps=True)
EDGES = [b"\x00", b"\xff", b"\x7f", b"\x80", b"\x0a", b"\xff" * 10, (2**60).to_bytes(8, "little")]


def row(rng: random.Random, column: FeatureColumn) -> Any:
    def value() -> Any:
        if column.kind is Kind.INT64:
            return rng.choice([0, 1, -1, 300, 2**40, -(2**63)])
        if column.kind is Kind.FLOAT:
            return rng.choice([0.0, 1.5, -2.0])
        return rng.choice([b"", b"x", b"\xc3\xa4", b"\xff", b"y" * 130])

    if rng.random() < 0.1:
        return None
    if column.depth == 0:
        return value()
    values = [value() for _ in range(rng.randrange(4))]
    return [values, []] if column.depth == 2 else values


def records_of(rng: random.Random, sequences: bool) -> list[bytes]:
    columns = [*COLUMNS, STEPS] if sequences else COLUMNS
    count = rng.randrange(1, 12)
    arrays = [pa.array([row(rng, each) for _ in range(count)], each.type) for each in columns]
    found: list[bytes] = encode_records(columns, arrays, sequences=sequences).to_pylist()
    return found


def mutated(rng: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        place = rng.randrange(len(found) + 1)
        size = rng.choice([1, 1, 2, 8, 40])
        kind = rng.randrange(5)
        if kind == 0 and place < len(found):
            found[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[place : place + size]
        elif kind == 2:
            found[place:place] = rng.choice(EDGES)
        elif kind == 3:
            found[place:place] = found[max(0, place - size) : place] * rng.choice([1, 2, 100])
        else:
            found[place : place + size] = rng.randbytes(size)
    return bytes(found if rng.random() < 0.8 else found[: rng.randrange(len(found) + 1)])


def file_of(rng: random.Random, sequences: bool) -> bytes:
    records = records_of(rng, sequences)
    if rng.random() < 0.5:  # with right checksums
        records = [mutated(rng, each) for each in records]
    data = framed(*records)
    if rng.random() < 0.6:
        data = mutated(rng, data)
    pack: Callable[[bytes], bytes] = rng.choice([bytes, bytes, gzip.compress, zlib.compress])
    packed = pack(data)
    return mutated(rng, packed) if pack is not bytes and rng.random() < 0.5 else packed


def rows_of(options: Options, schema: pa.Schema) -> list[str]:
    files = files_of(options)
    reader = RowReader(schema, frozenset(), options)
    found: list[str] = []
    for task in parts_of(files, [{} for _ in files], options):
        for part in task:
            for batch in reader.read(part):
                batch.validate(full=True)
                found += map(repr, batch.to_pylist())  # a NaN is not equal to itself
    return sorted(found)


def check(rng: random.Random, folder: Path) -> str:
    """Read one file, and return what came of it."""
    sequences = rng.random() < 0.3
    (folder / "file").write_bytes(file_of(rng, sequences))
    columns = [*COLUMNS, STEPS] if sequences else COLUMNS
    kind = RecordType.SEQUENCE_EXAMPLE if sequences else RecordType.EXAMPLE
    mode = rng.choice(list(Mode))
    given = {"path": str(folder / "file"), "recordType": kind, "mode": mode}
    if rng.random() < 0.2:
        given["verifyChecksums"] = "false"
    whole = parse_options({**given, "splitFiles": "false"})
    fields = [(column.name, column.type) for column in columns]
    schema = pa.schema([*fields, ("_corrupt_record", pa.binary())])
    if mode is not Mode.PERMISSIVE:
        schema = pa.schema(fields)
    begin = time.monotonic()
    with suppress(DataError):
        infer_schema(files_of(whole), whole)
    outcome = "rows"
    try:
        expected = rows_of(whole, schema)
    except DataError:
        outcome = "error"
    split = parse_options({**given, "maxPartitionBytes": str(rng.randrange(1, 300))})
    try:
        found = rows_of(split, schema)
    except DataError as error:
        assert outcome == "error" or "splitFiles" in str(error), error
        outcome = "error"
    else:
        assert outcome == "rows"
        assert found == expected
    assert time.monotonic() - begin < MOST_SECONDS
    return f"{mode} {outcome}"


def fuzz(first: int, going: Callable[[int], bool]) -> Counter[str]:
    """Read files of the seeds from `first` on, and count what came of them."""
    before, found, seed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, Counter[str](), first
    with tempfile.TemporaryDirectory() as folder:
        while going(seed):
            try:
                found[check(random.Random(seed), Path(folder))] += 1
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
            seed += 1
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MOST_BYTES, grown
    return found


if __name__ == "__main__":
    end = time.monotonic() + float(sys.argv[1])
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts = fuzz(start, lambda _: time.monotonic() < end)
    print(json.dumps({"files": counts.total(), **counts}))
