"""Feeders whose host has some of the nodes, but not all, ask here where their rows should go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient

_CALL_SECONDS = 60.0  # also where the driver does not run for a while

# Gets whether the feeder begins, the nodes on its host, and the size of the next rows in bytes;
# returns the nodes that share them.
Place = Callable[[bool, Sequence[int], int], Sequence[int]]


def ask_coordinator(coordinator: str, credentials: Credentials, feed: str, key: str) -> Place:
    """Return the function that asks the coordinator.

    Args:
        coordinator: Flight location of the coordinator.
        credentials: Those of a feeder.
        feed: Name of the feed's delivery.
        key: What the feeder delivers.
    """

    def place(first: bool, near: Sequence[int], size: int) -> Sequence[int]:
        client = RpcClient(coordinator, credentials)
        body = {"feed": feed, "key": key, "first": first, "near": list(near), "bytes": size}
        try:
            ranks: list[int] = client.call("place", body, timeout=_CALL_SECONDS)["ranks"]
            return ranks
        finally:
            client.close()

    return place
