"""Where the driver's servers listen."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pyarrow as pa

from tensorsparkml.control.protocol.keys import Guard
from tensorsparkml.control.protocol.rpc import Handler, Permit, RpcServer, tcp_location
from tensorsparkml.errors import LaunchError


def listen(
    host: str,
    bind_address: str,
    guard: Guard,
    handlers: Mapping[str, Handler],
    permit: Permit = lambda caller, action, body: True,
) -> tuple[RpcServer, str]:
    """Return a server of the driver, and the location at which executors reach it.

    Args:
        host: The driver's host, as executors reach it.
        bind_address: Address to listen on, or a name, of which one address is taken.
        guard: As for an `RpcServer`.
        handlers: As for an `RpcServer`.
        permit: As for an `RpcServer`.

    Raises:
        LaunchError: It cannot listen there.
    """
    try:
        address = resolve(bind_address)
        server = RpcServer(tcp_location(address), guard, handlers, permit=permit)
    except (pa.ArrowException, OSError) as error:
        raise LaunchError(
            f"the driver cannot listen on {bind_address}: {error}; set spark.driver.bindAddress to "
            "an address of this host, and spark.driver.host to the one under which executors reach "
            "it"
        ) from error
    return server, tcp_location(address if host == bind_address else host, server.port)


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
