"""Reporting the end of a node for its agent, which cannot do so any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyarrow.flight as flight

from tensorsparkml.control.keys import Credentials
from tensorsparkml.control.messages import Failure, encode_failure
from tensorsparkml.control.rpc import RpcClient

_CALL_SECONDS = 5.0


def report_end(
    coordinator: str,
    credentials: Credentials,
    rank: int,
    failure: Failure,
    timeout: float,
    end: Callable[[], None] = lambda: None,
) -> None:
    """Tell the driver why nothing of a node is left, if the driver is there to be told.

    Args:
        coordinator: Flight location of the coordinator.
        credentials: Of the node.
        rank: Rank of the node.
        failure: What has happened to it; told before main sees the end of its processes.
        timeout: Seconds in which a driver that accepts calls but does not answer may do so.
        end: Ends what is left of the node.
    """
    client = RpcClient(coordinator, credentials)
    deadline = time.monotonic() + timeout

    def report(event: dict[str, Any]) -> None:
        while time.monotonic() < deadline:
            try:
                client.call("report", {"rank": rank, "events": [event]}, timeout=_CALL_SECONDS)
                return
            except flight.FlightTimedOutError:
                continue  # it is busy or stopped; to tell it twice does no harm
            except flight.FlightError:
                return  # it is gone too, so nobody is left to be told

    try:
        report({"kind": "failed", "failure": encode_failure(failure)})
    finally:
        end()
    report({"kind": "gone"})
    client.close()
