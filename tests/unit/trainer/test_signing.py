"""What nodes send each other through a server that lets in anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.trainer.parameter_servers.signing import sign, verify

numbers = st.integers(0, 2**63 - 1)


@given(st.text(), st.text(), numbers, st.binary())
def test_signed_data_come_back(key: str, purpose: str, number: int, data: bytes) -> None:
    assert verify(key, purpose, number, sign(key, purpose, number, data)) == data


@given(st.binary())
def test_what_nobody_signed_is_refused(data: bytes) -> None:
    with pytest.raises(PermissionError, match="call does not come from a node of the cluster"):
        verify("key", "call", 1, data)


@given(st.binary(), st.data())
def test_a_changed_bit_is_refused(data: bytes, draw: st.DataObject) -> None:
    signed = bytearray(sign("key", "call", 1, data))
    signed[draw.draw(st.integers(0, len(signed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(PermissionError):
        verify("key", "call", 1, bytes(signed))


def test_a_signature_holds_for_one_key_purpose_and_number() -> None:
    signed = sign("key", "call", 1, b"data")
    for key, purpose, number in (("yek", "call", 1), ("key", "reply", 1), ("key", "call", 2)):
        with pytest.raises(PermissionError):
            verify(key, purpose, number, signed)
