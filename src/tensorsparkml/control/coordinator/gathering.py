"""A value from each of several nodes, which all of them get when all have called."""

from __future__ import annotations

from typing import Any

from tensorsparkml.control.protocol.gathered import encode_gathered
from tensorsparkml.control.protocol.rpc import encode_reply


class Gathering:
    """Collects the values of the first nodes.

    Args:
        nodes: How many nodes take part.
    """

    def __init__(self, nodes: int) -> None:
        self._values: list[Any] = [None] * nodes
        self._missing = dict.fromkeys(range(nodes))
        self._reply: bytes | None = None

    def take(self, rank: int, value: Any) -> bool:
        """Keep a node's value, and return whether it was the last one; the first of each counts."""
        if rank not in self._missing:
            return False
        del self._missing[rank]
        self._values[rank] = value
        return self.complete

    @property
    def complete(self) -> bool:
        """Whether all values are there."""
        return not self._missing

    @property
    def missing(self) -> list[int]:
        """The ranks of the nodes that have not called."""
        return list(self._missing)

    def reply(self) -> bytes:
        """Return the reply with all values, which is the same for all nodes, and is made once."""
        if self._reply is None:
            self._reply = encode_reply({"gathered": encode_gathered(self._values)})
            self._values.clear()
        return self._reply
