"""A held port is TensorFlow's to bind and nobody else's."""

from __future__ import annotations

import errno
import socket

import pytest

from tensorsparkml.executor.launch.reserved_port import hold_port


def test_others_cannot_bind_it() -> None:
    with hold_port("127.0.0.1") as held, socket.socket() as other:
        with pytest.raises(OSError) as caught:
            other.bind(held.getsockname())
        assert caught.value.errno == errno.EADDRINUSE


def test_nobody_can_bind_it_on_another_address() -> None:
    with hold_port("127.0.0.1") as held, socket.socket() as other:
        with pytest.raises(OSError) as caught:
            other.bind(("127.0.0.2", held.getsockname()[1]))
        assert caught.value.errno == errno.EADDRINUSE


def test_a_server_that_reuses_addresses_can() -> None:
    with hold_port("127.0.0.1") as held, socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(held.getsockname())
        server.listen()
        client.connect(held.getsockname())
        accepted, _ = server.accept()
        accepted.close()


def test_nobody_can_connect_to_it() -> None:
    with hold_port("127.0.0.1") as held, socket.socket() as client:
        assert client.connect_ex(held.getsockname()) == errno.ECONNREFUSED


def test_two_held_ports_differ() -> None:
    with hold_port("127.0.0.1") as one, hold_port("127.0.0.1") as other:
        assert one.getsockname()[1] != other.getsockname()[1]


def test_it_is_free_again_when_it_is_given_up() -> None:
    with hold_port("127.0.0.1") as held:
        address = held.getsockname()
    with socket.socket() as other:
        other.bind(address)


def test_an_address_of_version_6_gets_a_socket_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Recorded(socket.socket):
        def __init__(self, family: int, kind: int) -> None:
            made.append(family)
            super().__init__(socket.AF_INET, kind)

        def bind(self, address: object) -> None:
            assert address == ("::", 0)

    # Not every machine has version 6.
    monkeypatch.setattr("tensorsparkml.executor.launch.reserved_port.socket.socket", Recorded)
    hold_port("::1").close()
    assert made == [socket.AF_INET6]
