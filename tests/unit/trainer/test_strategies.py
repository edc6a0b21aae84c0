"""Waiting for another node's TensorFlow server."""

import socket
import threading

from tensorsparkml.trainer.strategies import wait_for_server


def test_waits_until_something_listens() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # as a node holds its port: bound, and nobody listens
        address = "{}:{}".format(*server.getsockname())
        found: list[bool] = []
        waiting = threading.Thread(target=lambda: found.append(wait_for_server(address, 30.0)))
        waiting.start()
        server.listen()
        waiting.join()
    assert found == [True]


def test_listens_on_an_ipv6_address() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert wait_for_server(f"[::1]:{server.getsockname()[1]}", 30.0)


def test_gives_up() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        assert not wait_for_server("{}:{}".format(*server.getsockname()), 0.05)
