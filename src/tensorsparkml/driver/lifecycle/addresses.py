"""The one address that the name of the driver's host stands for."""

from __future__ import annotations

import socket


def resolve(host: str) -> str:
    """Return the IP address on which a server that is given a host's name listens.

    A name can have several addresses. A server that takes a free port on all of them can lose that
    port on one of them to another process, which then gets the calls of some clients. So there is
    one address: as in Spark, which takes Java's choice, an IPv4 address before an IPv6 one.

    Raises:
        OSError: The name cannot be resolved.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(addresses[0][4][0])
