"""The shape of a column's rows: what its lists and vectors say, and what the user asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tensorsparkml.data.columns.hints import text
from tensorsparkml.data.columns.types import ElementType, is_list
from tensorsparkml.errors import ShapeMismatchError, UnsupportedColumnError

Shape = tuple[int | None, ...]


def lengths_of_shape(shape: Shape, depth: int) -> Shape:
    """Return the length that each of `depth` nested lists or vectors has in a row of this shape."""
    if depth == 0:
        return ()
    inner = shape[depth - 1 :]
    return (*shape[: depth - 1], None if None in inner else _product(inner))


def lengths_found(
    type_: pa.DataType, element: ElementType, sample: pa.Array | None
) -> list[int | None]:
    """Return the sizes of every nested list and vector in the first row; None if unknown."""
    lengths: list[int | None] = []
    while True:
        if sample is not None:
            index = pc.index(sample.is_valid(), True).as_py() if len(sample) else -1
            sample = sample.slice(index, 1) if index >= 0 else None
        if not is_list(type_):
            break
        first = None if sample is None else sample[0].values
        if pa.types.is_fixed_size_list(type_):
            lengths.append(type_.list_size)
        else:
            lengths.append(None if first is None else len(first))
        sample, type_ = first, type_.value_type
    if element.sizes is not None and sample is not None:
        return [*lengths, *element.sizes(sample)]
    return [*lengths, *(None for _ in range(element.dimensions))]


def shape_found(field: pa.Field, found: list[int | None]) -> Shape:
    """Return the shape that `lengths_found` tell.

    Raises:
        UnsupportedColumnError: One is unknown.
    """
    if 0 in found:
        # Lists inside an empty list have no length; any will do.
        inside = found.index(0) + 1
        found = [*found[:inside], *(length or 0 for length in found[inside:])]
    known = tuple(length for length in found if length is not None)
    if len(known) < len(found):
        raise UnsupportedColumnError(
            f"Column {field.name!r} of type {text(field.type)} has lists of unknown length, "
            "because this node's first rows have no lists. Give the column's shape: "
            "tsm.Column(shape=(3,)) for lists of 3 values, tsm.Column(shape=(None,)) for lists of "
            "any length."
        )
    return known


def given_shape(
    field: pa.Field,
    found: list[int | None],
    element: ElementType,
    shape: Shape | None,
) -> Shape | None:
    """Check a given shape against the sizes of lists and vectors, as far as these are known.

    Raises:
        ShapeMismatchError: It does not fit.
    """
    if shape is None:
        return None
    kind = f"Column {field.name!r} of type {text(field.type)}"
    sizes = shape
    depth, lists = len(found), len(found) - element.dimensions
    ragged = sizes.count(None)
    if sizes[:ragged] != (None,) * ragged or ragged > lists:
        raise ShapeMismatchError(
            f"{kind} cannot have the shape {shape}. Sizes of None, for lists of any length, must "
            "come first, at most one for each level of lists. The column's number of levels is "
            f"{lists}."
        )
    if depth == 0:
        if _product(sizes) != 1:
            raise ShapeMismatchError(
                f"{kind} holds 1 value per row, but the shape {shape} needs "
                f"{_product(sizes)}. Use the shape () or (1,), or leave it out."
            )
        return sizes
    if len(sizes) < depth:
        raise ShapeMismatchError(
            f"{kind} has lists of depth {depth}, but the shape {shape} has depth {len(sizes)}. "
            "Give a size for every level of lists, or flatten(col) in Spark."
        )
    needed = lengths_of_shape(sizes, depth)
    if needed[-1] is None and len(sizes) > depth:
        raise ShapeMismatchError(
            f"{kind} cannot have the shape {shape}, because lists of any length (None) cannot be "
            f"divided. Use the shape {sizes[:depth]}; or, if None is the batch dimension, leave it "
            "out."
        )
    if any(
        None not in (length, size) and length != size
        for length, size in zip(found, needed, strict=True)
    ):
        raise ShapeMismatchError(
            f"{kind} has lists of {_times(found)} values, but the shape {shape} needs "
            f"{_times(needed)}. Use a shape with the same number of values, or change the lists in "
            "Spark."
        )
    return sizes


def _product(sizes: Shape) -> int:
    return math.prod(1 if size is None else size for size in sizes)


def _times(lengths: Sequence[int | None]) -> str:
    return " x ".join("?" if length is None else str(length) for length in lengths)
