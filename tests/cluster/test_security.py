"""A stranger on the network can neither call nor feed a running cluster, nor find its token."""

import logging
import re
import socket
import threading

import psutil
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from node_processes import node_processes

import tensorsparkml as tsm


@pytest.fixture
def running(spark, tmp_path, caplog):
    stop = tmp_path / "stop"

    def main(args, ctx):
        print("running", flush=True)
        while not stop.exists():
            threading.Event().wait(0.05)

    with caplog.at_level(logging.DEBUG, logger="tensorsparkml"):
        cluster = tsm.Cluster(main, spark=spark, num_workers=2)
        with cluster:
            try:
                yield cluster
            finally:
                stop.touch()


def address_of(connection):
    return connection.laddr.ip.removeprefix("::ffff:")  # IPv4 on a socket for both


def listening(module):
    """Addresses on which processes that run a module listen."""
    return {
        (process.pid, address_of(connection), connection.laddr.port)
        for process in node_processes()
        if module in process.cmdline()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_strangers_are_refused_and_nothing_listens_widely(running, spark, caplog):
    host = socket.gethostbyname(spark.conf.get("spark.driver.host"))
    agents = listening("tensorsparkml.executor.agent")
    assert len(agents) == 2  # one port each, for rows; the trainer's is a Unix socket
    assert {address for _, address, _ in agents} == {host}
    assert not listening("tensorsparkml.trainer.process")
    own = [c for c in psutil.Process().net_connections("inet") if c.status == "LISTEN"]
    coordinator = int(running._running.plan.coordinator.rpartition(":")[2])
    # The driver's host is given by its name, which may be that of the loopback of both protocols.
    assert {address_of(c) for c in own if c.laddr.port == coordinator} <= {host, "::1"}

    token = running._running.plan.token
    ports = [coordinator, *(port for _, _, port in agents)]
    for port in ports:
        for headers in (
            [],
            [
                (b"authorization", b"Bearer "),
            ],
            [(b"authorization", b"Bearer x")],
        ):
            client = flight.FlightClient(f"grpc+tcp://{host}:{port}")
            options = flight.FlightCallOptions(timeout=60, headers=headers)
            # Not JSON: had anything parsed it, the error would be another one.
            with pytest.raises(flight.FlightUnauthenticatedError):
                list(client.do_action(flight.Action("report", b"\x80not json"), options))
            descriptor = flight.FlightDescriptor.for_path(b"train", b"forged")
            batch = pa.record_batch({"id": [1]})
            with pytest.raises(flight.FlightUnauthenticatedError):
                writer, reader = client.do_put(descriptor, batch.schema, options)
                writer.write_batch(batch)
                writer.done_writing()
                reader.read()
                writer.close()
            client.close()

    assert re.fullmatch("[0-9a-f]{64}", token)
    for process in psutil.process_iter(["cmdline"]):
        assert token not in " ".join(process.info["cmdline"] or [])
    assert len(node_processes()) == 4
    for process in node_processes():
        assert token not in str(process.environ())
    assert token not in caplog.text
    assert token not in repr(running._running.plan)


def test_each_cluster_has_its_own_token(spark):
    tokens = []
    for _ in range(2):
        cluster = tsm.Cluster(lambda args, ctx: None, spark=spark)
        with cluster:
            tokens.append(cluster._running.plan.token)
    assert len(set(tokens)) == 2
