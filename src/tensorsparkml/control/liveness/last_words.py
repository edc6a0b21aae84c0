"""Reporting the end of a node for its agent, which cannot do so any more."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow.flight as flight

from tensorsparkml.control.protocol.events import EVENTS, Event, Failed, Gone
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient

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

    def report(event: Event) -> None:
        body = {"rank": rank, "events": [EVENTS.encode(event)]}
        while time.monotonic() < deadline:
            try:
                client.call("report", body, timeout=_CALL_SECONDS)
                return
            except flight.FlightTimedOutError:
                continue  # it is busy or stopped; to tell it twice does no harm
            except flight.FlightError:
                return  # it is gone too, so nobody is left to be told

    try:
        report(Failed(failure))
    finally:
        end()
    report(Gone())
    client.close()
