"""Calls over loopback, and that strangers reach nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from tests.unit.example_keys import FEEDERS, KEYS, with_certificate

from tensorsparkml.control.protocol.keys import FEEDER, Credentials, Guard, Keys
from tensorsparkml.control.protocol.rpc import RpcClient, RpcServer, tcp_location, unix_location

TOKEN = FEEDERS.token
SECONDS = 300.0


class Recorder(RpcServer):
    """A server that notes whatever gets past the check of the token."""

    def __init__(self, location: str, guard: Guard) -> None:
        self.reached: list[str] = []
        self.release = threading.Event()
        handlers = {"double": self._double, "nothing": lambda _: None, "hang": self._hang}
        super().__init__(
            location,
            guard,
            {**handlers, "fail": self._fail},
            permit=lambda caller, action, body: not body.get("forbidden"),
        )

    def _double(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"value": body["value"] * 2}

    def _hang(self, body: dict[str, Any]) -> None:
        self.release.wait(SECONDS)

    def _fail(self, body: dict[str, Any]) -> None:
        raise KeyError("no feed of this name")

    def do_action(self, context: Any, action: Any) -> list[bytes]:
        self.reached.append("do_action")
        return super().do_action(context, action)

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        self.reached.append("do_put")

    def do_get(self, context: Any, ticket: Any) -> Any:
        self.reached.append("do_get")
        return flight.RecordBatchStream(pa.table({"x": [1]}))

    def list_actions(self, context: Any) -> list[Any]:
        self.reached.append("list_actions")
        return []

    def list_flights(self, context: Any, criteria: Any) -> list[Any]:
        self.reached.append("list_flights")
        return []

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        self.reached.append("get_flight_info")
        return flight.FlightInfo(pa.schema([]), descriptor, [])


@pytest.fixture(params=["plain", "tls"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return with_certificate(KEYS) if request.param == "tls" else KEYS


@pytest.fixture
def server(keys: Keys) -> Iterator[Recorder]:
    server = Recorder(tcp_location("127.0.0.1"), keys.guard(FEEDER))
    yield server
    server.release.set()
    server.shutdown()


@pytest.fixture
def client(server: Recorder, keys: Keys) -> Iterator[RpcClient]:
    client = RpcClient(tcp_location("127.0.0.1", server.port), keys.credentials(FEEDER))
    yield client
    client.close()


def test_a_call_returns_what_the_handler_does(client: RpcClient) -> None:
    assert client.call("double", {"value": 21}, timeout=SECONDS) == {"value": 42}
    assert client.call("double", {"value": "né"}, timeout=SECONDS) == {"value": "néné"}
    assert client.call("nothing", timeout=SECONDS) == {}


def test_an_unknown_action_is_an_error(client: RpcClient) -> None:
    with pytest.raises(flight.FlightError, match="unknown action 'shutdown'"):
        client.call("shutdown", timeout=SECONDS)


def test_a_handler_that_raises_is_an_error_of_the_call(client: RpcClient) -> None:
    with pytest.raises(flight.FlightError, match="no feed of this name"):
        client.call("fail", timeout=SECONDS)
    assert client.call("nothing", timeout=SECONDS) == {}


def test_a_call_that_is_not_permitted_is_an_error(client: RpcClient) -> None:
    with pytest.raises(flight.FlightError, match="feeder may not do that"):
        client.call("double", {"value": 1, "forbidden": True}, timeout=SECONDS)


def test_a_server_that_is_too_slow_is_an_error_of_the_call(client: RpcClient) -> None:
    with pytest.raises(flight.FlightTimedOutError):
        client.call("hang", timeout=0.1)


def test_a_server_that_is_gone_is_an_error_of_the_call(server: Recorder, client: RpcClient) -> None:
    server.shutdown()
    with pytest.raises(flight.FlightUnavailableError):
        client.call("nothing", timeout=SECONDS)


def test_a_unix_socket_serves_too(tmp_path: Path, keys: Keys) -> None:
    location = unix_location(str(tmp_path / "agent"))
    server = Recorder(location, keys.guard(FEEDER))
    client = RpcClient(location, keys.credentials(FEEDER))
    try:
        assert client.call("double", {"value": 2}, timeout=SECONDS) == {"value": 4}
    finally:
        client.close()
        server.shutdown()


def test_locations_bracket_ipv6() -> None:
    assert tcp_location("10.0.0.1", 80) == "grpc+tcp://10.0.0.1:80"
    assert tcp_location("fd00::1", 80) == "grpc+tcp://[fd00::1]:80"
    assert tcp_location("localhost") == "grpc+tcp://localhost:0"
    assert unix_location("/tmp/x") == "grpc+unix:///tmp/x"


# Strangers

STRANGERS: dict[str, list[tuple[bytes, bytes]]] = {
    "no header": [],
    "another header": [(b"x-authorization", f"Bearer {TOKEN}".encode())],
    "an empty value": [(b"authorization", b"")],
    "an empty token": [(b"authorization", b"Bearer ")],
    "another token": [(b"authorization", b"Bearer 0123456789abcdef")],
    "a prefix of the token": [(b"authorization", f"Bearer {TOKEN[:-1]}".encode())],
    "more than the token": [(b"authorization", f"Bearer {TOKEN}0".encode())],
    "another case": [(b"authorization", f"Bearer {TOKEN.upper()}".encode())],
    "the bare token": [(b"authorization", TOKEN.encode())],
    "a binary header": [(b"authorization-bin", f"Bearer {TOKEN}".encode())],
    "two values": [
        (b"authorization", f"Bearer {TOKEN}".encode()),
        (b"authorization", b"Bearer 0123456789abcdef"),
    ],
}


@pytest.fixture(params=STRANGERS.values(), ids=STRANGERS.keys())
def stranger(request: pytest.FixtureRequest) -> Any:
    return flight.FlightCallOptions(timeout=SECONDS, headers=request.param)


def test_a_stranger_reaches_no_handler_and_no_parser(
    server: Recorder, client: RpcClient, stranger: Any
) -> None:
    for body in (b'{"value": 1}', b"this is no JSON", b""):
        with pytest.raises(flight.FlightUnauthenticatedError):
            list(client.connection.do_action(flight.Action("double", body), stranger))
    assert server.reached == []


def test_a_stranger_learns_nothing_of_the_actions(
    server: Recorder, client: RpcClient, stranger: Any
) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.connection.do_action(flight.Action("unknown", b""), stranger))
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.connection.list_actions(stranger))
    assert server.reached == []


def test_a_stranger_reaches_no_other_call(
    server: Recorder, client: RpcClient, stranger: Any
) -> None:
    connection = client.connection
    descriptor = flight.FlightDescriptor.for_path(b"a", b"b")
    with pytest.raises(flight.FlightUnauthenticatedError):
        connection.do_get(flight.Ticket(b"x"), stranger).read_all()
    with pytest.raises(flight.FlightUnauthenticatedError):
        connection.get_flight_info(descriptor, stranger)
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(connection.list_flights(b"", stranger))
    with pytest.raises(flight.FlightUnauthenticatedError):
        writer, _ = connection.do_put(descriptor, pa.schema([]), stranger)
        writer.close()
    assert server.reached == []


def test_the_token_lets_those_calls_through(server: Recorder, client: RpcClient) -> None:
    options = client.options(SECONDS)
    client.connection.do_get(flight.Ticket(b"x"), options).read_all()
    list(client.connection.list_actions(options))
    assert server.reached == ["do_get", "list_actions"]


@pytest.mark.parametrize("token", ["", "0123456789abcdef"])
def test_a_client_without_the_token_is_refused(server: Recorder, keys: Keys, token: str) -> None:
    credentials = Credentials(token, keys.certificate)
    client = RpcClient(tcp_location("127.0.0.1", server.port), credentials)
    try:
        with pytest.raises(flight.FlightUnauthenticatedError, match="token"):
            client.call("double", {"value": 1}, timeout=SECONDS)
    finally:
        client.close()
    assert server.reached == []


def test_a_body_that_is_no_json_does_not_hurt_the_server(
    server: Recorder, client: RpcClient
) -> None:
    with pytest.raises(flight.FlightError):
        action = flight.Action("double", b"this is no JSON")
        list(client.connection.do_action(action, client.options(SECONDS)))
    assert client.call("double", {"value": 1}, timeout=SECONDS) == {"value": 2}
