"""Authenticated calls with JSON bodies, over Arrow Flight.

One server class and one client class serve the coordinator, the agents and the trainers. The token
is checked by Flight's middleware, which sees the headers before anything of a call is parsed.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow.flight as flight

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], dict[str, Any] | None]
# What answers Flight's `do_exchange`: gets the call's context, descriptor, reader and writer.
ExchangeHandler = Callable[[Any, Any, Any, Any], None]
_HEADER = "authorization"


class _TokenCheck(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        super().__init__()
        self._expected = f"Bearer {token}"

    def start_call(self, info: Any, headers: Mapping[str, list[str]]) -> None:
        for name, values in headers.items():
            if name.lower() == _HEADER and len(values) == 1:
                value = values[0]
                if isinstance(value, str) and hmac.compare_digest(
                    value.encode(), self._expected.encode()
                ):
                    return
        raise flight.FlightUnauthenticatedError("this call does not carry the cluster's token")


class RpcServer(flight.FlightServerBase):  # type: ignore[misc]
    """A Flight server whose actions are calls of handlers.

    It listens as soon as it is constructed.

    Args:
        location: Where to listen, such as `grpc+tcp://10.0.0.1:0` or `grpc+unix:///tmp/x`.
        token: What every call must carry.
        handlers: Function by action name. It gets the decoded body and returns the reply.
        exchange: Answers calls that carry record batches in both directions, if there are any.
    """

    def __init__(
        self,
        location: str,
        token: str,
        handlers: Mapping[str, Handler],
        exchange: ExchangeHandler | None = None,
    ) -> None:
        super().__init__(location, middleware={"token": _TokenCheck(token)})
        self._handlers = dict(handlers)
        self._exchange = exchange

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Pass record batches in both directions."""
        if self._exchange is None:
            raise flight.FlightServerError("this server exchanges no record batches")
        self._exchange(context, descriptor, reader, writer)

    def do_action(self, context: Any, action: Any) -> list[bytes]:
        """Answer one call."""
        handler = self._handlers.get(action.type)
        if handler is None:
            raise flight.FlightServerError(f"unknown action {action.type!r}")
        try:
            body = json.loads(action.body.to_pybytes() or b"{}")
            return [json.dumps(handler(body) or {}).encode()]
        except Exception as error:
            # Flight would pass a KeyError on as Arrow's own, which is no FlightError.
            logger.exception("action %r failed", action.type)
            raise flight.FlightServerError(
                f"action {action.type!r} failed: {type(error).__name__}: {error}"
            ) from error


class RpcClient:
    """Calls an `RpcServer`.

    Args:
        location: Where the server listens.
        token: The token it expects.
    """

    def __init__(self, location: str, token: str) -> None:
        self._flight = flight.FlightClient(location)
        self._headers = [(_HEADER.encode(), f"Bearer {token}".encode())]

    def call(self, name: str, body: Mapping[str, Any] | None = None, *, timeout: float) -> Any:
        """Call an action and return its reply.

        Args:
            name: The action.
            body: What JSON can express.
            timeout: Seconds after which the call fails.

        Raises:
            pyarrow.flight.FlightError: The server is not reachable, refuses, or is too slow.
        """
        action = flight.Action(name, json.dumps(dict(body or {})).encode())
        replies = list(self._flight.do_action(action, self.options(timeout)))
        return json.loads(replies[0].body.to_pybytes())

    def options(self, timeout: float | None = None) -> Any:
        """Return Flight call options that carry the token."""
        return flight.FlightCallOptions(timeout=timeout, headers=self._headers)

    @property
    def connection(self) -> Any:
        """The Flight client, for calls that carry record batches."""
        return self._flight

    def close(self) -> None:
        """Close the connection."""
        self._flight.close()


def tcp_location(host: str, port: int = 0) -> str:
    """Return the Flight location of a TCP address; port 0 lets the server choose one."""
    return f"grpc+tcp://[{host}]:{port}" if ":" in host else f"grpc+tcp://{host}:{port}"


def unix_location(path: str) -> str:
    """Return the Flight location of a Unix socket."""
    return f"grpc+unix://{path}"
