"""A host's name that has several addresses."""

import socket

import pytest

from tensorsparkml.driver.lifecycle.addresses import resolve


def entry(family, address):
    rest = (address, 0) if family == socket.AF_INET else (address, 0, 0, 0)
    return (family, socket.SOCK_STREAM, 6, "", rest)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")], "127.0.0.1"),
        ([(socket.AF_INET, "10.0.0.2"), (socket.AF_INET, "10.0.0.1")], "10.0.0.2"),
        ([(socket.AF_INET6, "fd00::2"), (socket.AF_INET6, "fd00::1")], "fd00::2"),
    ],
)
def test_one_of_several_addresses(monkeypatch, found, expected):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry(*each) for each in found])
    assert resolve("driver") == expected


def test_addresses_stay_what_they_are():
    assert [resolve(address) for address in ("127.0.0.1", "0.0.0.0", "::1")] == [
        "127.0.0.1",
        "0.0.0.0",
        "::1",
    ]
