"""Authenticated and encrypted calls with JSON bodies, over Arrow Flight.

One server class and one client class serve the coordinator, the agents and the trainers. The token
is checked by Flight's middleware, which sees the headers before anything of a call is parsed. TCP
is encrypted where the cluster has a certificate; Unix sockets never are.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow.flight as flight

from tensorsparkml.control.protocol.keys import Check, Credentials, Guard

logger = logging.getLogger(__name__)

Reply = dict[str, Any] | bytes | None  # bytes are a reply that `encode_reply` made before
# Returns the reply, or yields several, which are sent as they come.
Handler = Callable[[dict[str, Any]], Reply | Iterator[Reply]]
# What answers Flight's `do_exchange`: gets the call's context, descriptor, reader and writer.
ExchangeHandler = Callable[[Any, Any, Any, Any], None]
# Gets a caller, an action and its body, and returns whether the caller may.
Permit = Callable[[str, str, Mapping[str, Any]], bool]

# What a cluster's certificate names, whatever the addresses at which its servers listen.
SERVER_NAME = "cluster.tensorsparkml.internal"

_HEADER = "authorization"
# Without it, a client whose network was down waits for up to two minutes before it tries again.
_CHANNEL = [("grpc.max_reconnect_backoff_ms", 1000)]
_SCHEME = "Bearer "
_COMPRESSED_BYTES = 16_384
_CHECK = "token"


class _Caller(flight.ServerMiddleware):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _TokenCheck(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check = check

    def start_call(self, info: Any, headers: Mapping[str, list[str]]) -> _Caller:
        for name, values in headers.items():
            if name.lower() == _HEADER and len(values) == 1:
                value = values[0]
                if isinstance(value, str) and value.startswith(_SCHEME):
                    caller = self._check(value.removeprefix(_SCHEME))
                    if caller is not None:
                        return _Caller(caller)
        raise flight.FlightUnauthenticatedError("this call does not carry the cluster's token")


class RpcServer(flight.FlightServerBase):  # type: ignore[misc]
    """A Flight server whose actions are calls of handlers.

    It listens as soon as it is constructed.

    Args:
        location: Where to listen, such as `grpc+tcp://10.0.0.1:0` or `grpc+unix:///tmp/x`.
        guard: Tells callers by their tokens, and has the certificate.
        handlers: Function by action name. It gets the decoded body and returns the reply.
        exchange: Answers calls that carry record batches in both directions, if there are any.
        permit: Says which caller may ask for what; by default all may for everything.
    """

    def __init__(
        self,
        location: str,
        guard: Guard,
        handlers: Mapping[str, Handler],
        exchange: ExchangeHandler | None = None,
        permit: Permit = lambda caller, action, body: True,
    ) -> None:
        # Calls can arrive before the constructor has returned.
        self._handlers = dict(handlers)
        self._exchange = exchange
        self._permit = permit
        certificate, key = guard.certificate, guard.private_key
        encrypted = _encrypted(location, certificate)
        super().__init__(
            encrypted,
            middleware={_CHECK: _TokenCheck(guard.check)},
            tls_certificates=[(certificate, key)] if encrypted != location else None,
        )

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Pass record batches in both directions."""
        if self._exchange is None:
            raise flight.FlightServerError("this server exchanges no record batches")
        self._exchange(context, descriptor, reader, writer)

    def do_action(self, context: Any, action: Any) -> Iterator[bytes]:
        """Answer one call."""
        handler = self._handlers.get(action.type)
        if handler is None:
            raise flight.FlightServerError(f"unknown action {action.type!r}")
        try:
            body = json.loads(action.body.to_pybytes() or b"{}")
            caller = context.get_middleware(_CHECK).name
            if not self._permit(caller, action.type, body):
                raise PermissionError(f"{caller} may not do that")
            reply = handler(body)
            for each in reply if isinstance(reply, Iterator) else [reply]:
                yield each if isinstance(each, bytes) else encode_reply(each or {})
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
        credentials: The token it expects, and the certificate that it must have.
    """

    def __init__(self, location: str, credentials: Credentials) -> None:
        encrypted = _encrypted(location, credentials.certificate)
        self._flight = (
            flight.FlightClient(location, generic_options=_CHANNEL)
            if encrypted == location
            else flight.FlightClient(
                encrypted,
                tls_root_certs=credentials.certificate,
                override_hostname=SERVER_NAME,
                generic_options=_CHANNEL,
            )
        )
        self._headers = [(_HEADER.encode(), f"{_SCHEME}{credentials.token}".encode())]

    def call(
        self, name: str, body: Mapping[str, Any] | None = None, *, timeout: float | None
    ) -> Any:
        """Call an action and return its reply.

        Args:
            name: The action.
            body: What JSON can express.
            timeout: Seconds after which the call fails, or None for never.

        Raises:
            pyarrow.flight.FlightError: The server is not reachable, refuses, or is too slow.
        """
        [reply] = self.stream(name, body, timeout=timeout)
        return reply

    def stream(
        self, name: str, body: Mapping[str, Any] | None = None, *, timeout: float | None
    ) -> Iterator[Any]:
        """Call an action and yield its replies as they come.

        Args:
            name: The action.
            body: What JSON can express.
            timeout: Seconds after which the call fails, or None for never.

        Raises:
            pyarrow.flight.FlightError: The server is not reachable, refuses, or is too slow.
        """
        action = flight.Action(name, json.dumps(dict(body or {})).encode())
        for reply in self._flight.do_action(action, self.options(timeout)):
            yield _decode_reply(reply.body.to_pybytes())

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


def encode_reply(body: Mapping[str, Any]) -> bytes:
    """Return a reply as it travels: as JSON, compressed where it is long.

    What the nodes of a large cluster tell each other grows with the square of their number.
    """
    encoded = json.dumps(body).encode()
    return encoded if len(encoded) < _COMPRESSED_BYTES else zlib.compress(encoded, level=1)


def _decode_reply(data: bytes) -> Any:
    return json.loads(data if data.startswith(b"{") else zlib.decompress(data))


def _encrypted(location: str, certificate: str | None) -> str:
    """Return a location as Flight names it where it is to use TLS, if it is to."""
    return location if certificate is None else location.replace("grpc+tcp:", "grpc+tls:")


def tcp_location(host: str, port: int = 0) -> str:
    """Return the Flight location of a TCP address; port 0 lets the server choose one."""
    return f"grpc+tcp://[{host}]:{port}" if ":" in host else f"grpc+tcp://{host}:{port}"


def unix_location(path: str) -> str:
    """Return the Flight location of a Unix socket."""
    return f"grpc+unix://{path}"
