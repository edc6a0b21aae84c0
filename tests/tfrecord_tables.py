"""Random columns of TFRecord files, and values for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind

Row = list[Any]
VALUES = {
    Kind.BYTES: st.binary(max_size=8) | st.binary(min_size=127, max_size=131),
    Kind.FLOAT: st.floats(width=32, allow_nan=False),
    Kind.INT64: st.sampled_from([0, 1, -1, 127, 128, 2**14, -(2**63), 2**63 - 1])
    | st.integers(-(2**63), 2**63 - 1),
}
NAMES = st.text(min_size=1, max_size=9) | st.sampled_from(["a" * 8, "a" * 16, "a" * 127, "ä" * 90])


@st.composite
def columns(draw: st.DrawFn, sequences: bool) -> list[FeatureColumn]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    found = []
    for name in names:
        steps = sequences and draw(st.booleans())
        depth = draw(st.integers(1, 2)) if steps else draw(st.integers(0, 1))
        found.append(FeatureColumn(name, draw(st.sampled_from(Kind)), depth, steps))
    return found


def values(column: FeatureColumn) -> st.SearchStrategy[Any]:
    found: st.SearchStrategy[Any] = VALUES[column.kind]
    for _ in range(column.depth):
        found = st.lists(found, max_size=3)
    return st.none() | found


@st.composite
def tables(draw: st.DrawFn) -> tuple[bool, list[FeatureColumn], list[Row]]:
    """Whether the records are sequences, the columns, and rows with a value for each of them."""
    sequences = draw(st.booleans())
    found = draw(columns(sequences))
    rows = draw(st.lists(st.tuples(*map(values, found)).map(list), max_size=6))
    return sequences, found, rows


@st.composite
def mutations(draw: st.DrawFn, record: bytes) -> bytes:
    """A record with some bytes changed, and an end of it missing."""
    found = bytearray(record)
    for _ in range(draw(st.integers(0, 2))):
        if found:
            found[draw(st.integers(0, len(found) - 1))] = draw(st.integers(0, 255))
    return bytes(found[: draw(st.integers(0, len(found)))])
