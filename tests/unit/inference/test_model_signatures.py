"""Signatures as they are in a SavedModel's file, and what is no file of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.inference.models.saved_model_file import read_signatures
from tensorsparkml.inference.models.signature import Signature, TensorSpec
from tensorsparkml.inference.models.source import Kind, kind_of

FLOAT, STRING, UNKNOWN = 1, 7, 99


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name: str, dtype: int, sizes: list[int] | None) -> bytes:
    dims = [number(3, 1)] if sizes is None else [message(2, number(1, size)) for size in sizes]
    info = message(2, message(1, b"serving_x:0"), number(2, dtype), message(3, *dims))
    return message(1, name.encode()) + info


def saved_model(*definitions: bytes) -> bytes:
    # The graph is skipped; a fixed field of another kind is too.
    graph = [message(1, b"meta"), message(2, b"\x00" * 500), *definitions]
    return number(1, 1) + message(2, *graph) + varint(9 << 3 | 5) + b"1234"


def definition(name: str, inputs: list[bytes], outputs: list[bytes]) -> bytes:
    body = [*(message(1, each) for each in inputs), *(message(2, each) for each in outputs)]
    return message(5, message(1, name.encode()), message(2, *body))


FILE = saved_model(
    definition("__saved_model_init_op", [], [tensor("x", FLOAT, [])]),
    definition(
        "serving_default",
        [tensor("b", STRING, [-1]), tensor("a", FLOAT, [-1, 28, 28])],
        [tensor("y", FLOAT, None), tensor("z", UNKNOWN, [32, -1])],
    ),
)


def test_a_signature_is_read_without_tensorflow() -> None:
    found = read_signatures(FILE)
    assert list(found) == ["serving_default"]
    assert found["serving_default"] == Signature(
        (TensorSpec("a", "float32", (None, 28, 28)), TensorSpec("b", "string", (None,))),
        (TensorSpec("y", "float32", None), TensorSpec("z", "dtype 99", (32, None))),
    )
    assert found["serving_default"].outputs[1].rows == 32


def test_a_signature_survives_json() -> None:
    signature = read_signatures(FILE)["serving_default"]
    assert Signature.from_json(signature.to_json()) == signature


def test_a_spec_is_described_in_words() -> None:
    [first, second] = read_signatures(FILE)["serving_default"].outputs
    assert str(first) == "y: float32 of any shape"
    assert str(second) == "z: dtype 99 (any)"


@given(st.integers(0, len(FILE) - 10))
def test_a_file_that_is_cut_off_is_no_model(length: int) -> None:
    with pytest.raises(ValueError, match=r"ends too early|no signatures"):
        read_signatures(FILE[:length])


@given(st.binary(max_size=60))
def test_other_files_are_no_models(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends too early|no signatures|unknown kind|no number"):
        read_signatures(content)


@pytest.mark.parametrize(
    ("path", "names", "kind"),
    [
        ("/m", ["saved_model.pb", "variables/variables.index"], Kind.SAVED_MODEL),
        ("s3://b/m.keras", [""], Kind.KERAS),
        ("/m.h5", [""], Kind.KERAS),
    ],
)
def test_files_say_what_a_model_is(path: str, names: list[str], kind: Kind) -> None:
    assert kind_of(path, names, has_builder=False) is kind


@pytest.mark.parametrize(
    ("path", "names", "has_builder", "words"),
    [
        ("/m", ["a.txt", "b.txt"], False, "no saved_model.pb in /m; it has a.txt, b.txt"),
        ("/m.pb", [""], False, "/m.pb is a file, but none named"),
        ("/m.weights.h5", [""], False, "has weights only; pass build="),
        ("/m.keras", [""], True, "build= is for weights"),
    ],
)
def test_what_is_no_model_is_refused(
    path: str, names: list[str], has_builder: bool, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        kind_of(path, names, has_builder=has_builder)
