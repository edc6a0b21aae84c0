"""Ports that are reserved for TensorFlow from rendezvous on."""

from __future__ import annotations

import socket


def hold_port(host: str) -> socket.socket:
    """Reserve a port that TensorFlow's server can bind while nobody else can.

    TensorFlow binds with SO_REUSEADDR, which Linux lets it do beside a socket that is bound with
    the same option and does not listen; other binds of the port are refused. It binds all
    addresses, so a connection that uses the port on any of them would be in its way.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
    return held
