"""Reads the signatures of a SavedModel from its `saved_model.pb`, without TensorFlow.

The file is a Protocol Buffers message, `tensorflow.SavedModel`, of which only the few fields that
describe signatures are read. Their numbers are in TensorFlow's `saved_model.proto`,
`meta_graph.proto`, `tensor_shape.proto` and `types.proto`, and cannot change.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorsparkml.inference.models.signature import Shape, Signature, TensorSpec

# TensorFlow's DataType.
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
}
# `__saved_model_init_op` and the like are no signatures that a user has written.
_INTERNAL = "__saved_model"

Value = int | memoryview


def read_signatures(content: bytes) -> dict[str, Signature]:
    """Return the signatures by name.

    Args:
        content: The whole file.

    Raises:
        ValueError: It is no such file, or is cut off.
    """
    found: dict[str, Signature] = {}
    for graph in _messages(memoryview(content), 2):  # meta_graphs
        for entry in _messages(graph, 5):  # signature_def
            name = _text(entry, 1)
            if name.startswith(_INTERNAL):
                continue
            for definition in _messages(entry, 2):
                found.setdefault(name, _signature(definition))
    if not found:
        raise ValueError("it has no signatures")
    return found


def _signature(definition: memoryview) -> Signature:
    return Signature(_tensors(definition, 1), _tensors(definition, 2))


def _tensors(definition: memoryview, field: int) -> tuple[TensorSpec, ...]:
    # A map has no order. TensorFlow gives keyword arguments and outputs in that of their names.
    found = {
        _text(entry, 1): info
        for entry in _messages(definition, field)
        for info in _messages(entry, 2)
    }
    return tuple(_tensor(name, found[name]) for name in sorted(found))


def _tensor(name: str, info: memoryview) -> TensorSpec:
    number, shape = 0, None
    for field, value in _fields(info):
        if field == 2 and isinstance(value, int):
            number = value
        elif field == 3 and isinstance(value, memoryview):
            shape = _shape(value)
    return TensorSpec(name, _DTYPES.get(number, f"dtype {number}"), shape)


def _shape(message: memoryview) -> Shape | None:
    sizes: list[int | None] = []
    for field, value in _fields(message):
        if field == 3 and value:  # unknown_rank
            return None
        if field == 2 and isinstance(value, memoryview):
            sizes.append(_size(value))
    return tuple(sizes)


def _size(dimension: memoryview) -> int | None:
    size = 0
    for field, value in _fields(dimension):
        if field == 1 and isinstance(value, int):
            size = value
    return None if size >= 2**63 else size  # -1 is any size


def _text(message: memoryview, field: int) -> str:
    found = [bytes(value) for value in _messages(message, field)]
    return found[-1].decode(errors="replace") if found else ""


def _messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for field, value in _fields(message):
        if field == wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field: an integer, or the bytes of anything else."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"it has a field of the unknown kind {kind} at byte {place}")
        if place + size > len(message):
            raise ValueError("it ends too early")
        yield tag >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(message):
            raise ValueError("it ends too early")
        if shift > 63:
            raise ValueError(f"it has no number at byte {place}")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
