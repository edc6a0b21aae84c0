"""Feeders of a feed that the nodes cannot keep wait here until there is room for their rows."""

from __future__ import annotations

from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient

_WAIT_SECONDS = 2.0  # how long the coordinator holds a call
_CALL_SECONDS = 60.0  # also where the driver does not run for a while


def wait_for_room(coordinator: str, credentials: Credentials, feed: str) -> bool:
    """Wait until the nodes have room for more rows, and return False where nobody needs them.

    Args:
        coordinator: Flight location of the coordinator.
        credentials: Those of a feeder.
        feed: Name of the feed's delivery.

    Raises:
        pyarrow.flight.FlightError: The coordinator is gone.
    """
    client = RpcClient(coordinator, credentials)
    try:
        while True:
            reply = client.call(
                "admit", {"feed": feed, "wait": _WAIT_SECONDS}, timeout=_CALL_SECONDS
            )
            if reply["unwanted"]:
                return False
            if reply["admitted"]:
                return True
    finally:
        client.close()
