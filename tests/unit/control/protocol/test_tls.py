"""What TLS keeps from those who listen, and whom it does not believe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pyarrow.flight as flight
import pytest
from tests.unit.example_keys import KEYS, with_certificate

from tensorsparkml.control.protocol.keys import FEEDER, Keys
from tensorsparkml.control.protocol.rpc import RpcClient, RpcServer, tcp_location

SECONDS = 30.0


@pytest.fixture(scope="module")
def keys() -> Keys:
    return with_certificate(KEYS)


@pytest.fixture
def server(keys: Keys) -> Iterator[RpcServer]:
    server = RpcServer(tcp_location("127.0.0.1"), keys.guard(FEEDER), {"echo": lambda body: body})
    yield server
    server.shutdown()


class Listener:
    """Stands between a client and a server, and keeps all that passes."""

    def __init__(self, port: int) -> None:
        self.heard = b""
        self._target = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        client, _ = self._socket.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        threading.Thread(target=self._pass, args=(server, client), daemon=True).start()
        self._pass(client, server)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # of an end that has closed its connection
            while data := source.recv(2**16):
                self.heard += data
                target.sendall(data)
        with suppress(OSError):  # the other thread has done it
            target.shutdown(socket.SHUT_RDWR)  # which close does not, while that thread reads
        target.close()

    def close(self) -> None:
        self._socket.close()


def call(keys: Keys, port: int) -> object:
    client = RpcClient(tcp_location("127.0.0.1", port), keys.credentials(FEEDER))
    try:
        return client.call("echo", {"word": "a-secret-word"}, timeout=SECONDS)
    finally:
        client.close()


def test_who_listens_hears_neither_token_nor_body(server: RpcServer, keys: Keys) -> None:
    listener = Listener(server.port)
    assert call(keys, listener.port) == {"word": "a-secret-word"}
    listener.close()
    assert len(listener.heard) > 1000
    assert b"a-secret-word" not in listener.heard
    assert keys.token(FEEDER).encode() not in listener.heard


def test_without_tls_who_listens_hears_the_body() -> None:
    """So that the test above could fail."""
    guard = KEYS.guard(FEEDER)
    server = RpcServer(tcp_location("127.0.0.1"), guard, {"echo": lambda body: body})
    listener = Listener(server.port)
    call(KEYS, listener.port)
    listener.close()
    server.shutdown()
    assert b"a-secret-word" in listener.heard


def test_a_server_with_another_certificate_is_not_believed(keys: Keys) -> None:
    reached: list[object] = []
    guard = with_certificate(KEYS).guard(FEEDER)
    server = RpcServer(tcp_location("127.0.0.1"), guard, {"echo": reached.append})
    with pytest.raises(flight.FlightUnavailableError):
        call(keys, server.port)
    server.shutdown()
    assert reached == []


def test_a_client_that_does_not_encrypt_is_not_answered(server: RpcServer, keys: Keys) -> None:
    with pytest.raises(flight.FlightUnavailableError):
        call(replace(keys, certificate=None), server.port)


def test_a_server_that_does_not_encrypt_is_not_told_the_token(keys: Keys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        heard: list[bytes] = []

        def accept() -> None:
            connection, _ = plain.accept()
            with connection:
                heard.append(connection.recv(2**16))

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(flight.FlightUnavailableError):
            call(keys, plain.getsockname()[1])
        thread.join(SECONDS)
    [first] = heard
    assert first[:1] == b"\x16"  # a handshake's first record
    assert keys.token(FEEDER).encode() not in first


def test_the_address_does_not_matter(server: RpcServer, keys: Keys) -> None:
    client = RpcClient(tcp_location("localhost", server.port), keys.credentials(FEEDER))
    assert client.call("echo", {"x": 1}, timeout=SECONDS) == {"x": 1}
    client.close()
