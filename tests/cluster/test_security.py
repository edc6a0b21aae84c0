"""A stranger on the network can neither call nor feed a running cluster, nor find its keys."""

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
from tensorsparkml.control.protocol.rpc import SERVER_NAME


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
    # One address, also where the host's name is that of the loopback of both protocols.
    assert [address_of(c) for c in own if c.laddr.port == coordinator] == [host]

    keys = running._running.plan.keys
    assert "PRIVATE KEY" in keys.private_key
    secrets = [keys.secret, keys.private_key.splitlines()[1]]
    secrets += [keys.token(caller) for caller in ("feeder", "datasets", "node-0", "node-1")]
    ports = [coordinator, *(port for _, _, port in agents)]
    for port in ports:
        for headers in (
            [],
            [
                (b"authorization", b"Bearer "),
            ],
            [(b"authorization", b"Bearer x")],
        ):
            client = flight.FlightClient(
                f"grpc+tls://{host}:{port}",
                tls_root_certs=keys.certificate,
                override_hostname=SERVER_NAME,
            )
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

        client = flight.FlightClient(f"grpc+tcp://{host}:{port}")
        with pytest.raises(flight.FlightUnavailableError):  # nothing is heard that is not encrypted
            list(
                client.do_action(
                    flight.Action("directives", b"{}"), flight.FlightCallOptions(timeout=5)
                )
            )
        client.close()

    assert re.fullmatch("[0-9a-f]{64}", keys.secret)
    seen = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    assert len(node_processes()) == 4
    seen += [str(process.environ()) for process in node_processes()]
    seen += [caplog.text, repr(running._running.plan)]
    for secret in secrets:
        assert not [text for text in seen if secret in text]


def test_each_cluster_has_keys_of_its_own(spark):
    keys = []
    for _ in range(2):
        cluster = tsm.Cluster(lambda args, ctx: None, spark=spark)
        with cluster:
            keys.append(cluster._running.plan.keys)
    assert len({each.secret for each in keys}) == 2
    assert len({each.certificate for each in keys}) == 2


def test_tls_can_be_left_out(spark):
    cluster = tsm.Cluster(lambda args, ctx: {"rank": ctx.rank}, spark=spark, tls=False, packages=())
    with cluster:
        assert cluster._running.plan.keys.private_key is None
    assert cluster.results == [{"rank": 0}]
