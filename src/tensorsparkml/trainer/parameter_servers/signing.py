"""Signatures of what nodes send each other through TensorFlow's server, which lets in anybody."""

from __future__ import annotations

import hmac

_SIZE = 32  # bytes, of SHA-256


def sign(key: str, purpose: str, number: int, data: bytes) -> bytes:
    """Return data after a signature.

    Args:
        key: What the nodes of the cluster share.
        purpose: What the data is, so that it is not taken for something else.
        number: What it belongs to.
        data: Any bytes.
    """
    return _signature(key, purpose, number, data) + data


def verify(key: str, purpose: str, number: int, signed: bytes) -> bytes:
    """Return the data that `sign` got, with the same key, purpose and number.

    Raises:
        PermissionError: The signature is another one.
    """
    signature, data = signed[:_SIZE], signed[_SIZE:]
    if not hmac.compare_digest(signature, _signature(key, purpose, number, data)):
        raise PermissionError(f"this {purpose} does not come from a node of the cluster")
    return data


def _signature(key: str, purpose: str, number: int, data: bytes) -> bytes:
    return hmac.digest(key.encode(), f"{purpose} {number} ".encode() + data, "sha256")
