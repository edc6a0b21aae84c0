"""Record batches over loopback into a spool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.example_keys import KEYS, with_certificate

from tensorsparkml.control.protocol.directives import Publish
from tensorsparkml.control.protocol.keys import FEEDER, Credentials, Keys
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import tcp_location
from tensorsparkml.data.spool.segments import LocatedBatch, Origin, RowReader
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import (
    NodeGoneError,
    SpoolClient,
    SpoolServer,
    is_on_this_host,
    send_segment,
)

SECONDS = 300.0
SCHEMA = pa.schema([("id", pa.int64())])


class Watched(SpoolServer):
    """Tells when a call that sends rows has ended."""

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        try:
            super().do_put(context, descriptor, reader, writer)
        finally:
            self.put_ended.set()

    put_ended = threading.Event()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(directory: Path) -> Spool:
    return Spool(directory)


@pytest.fixture(params=["plain", "tls"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return with_certificate(KEYS) if request.param == "tls" else KEYS


@pytest.fixture
def credentials(keys: Keys) -> Credentials:
    return keys.credentials(FEEDER)


@pytest.fixture
def server(spool: Spool, keys: Keys) -> Iterator[Watched]:
    server = Watched(tcp_location("127.0.0.1"), keys.guard(FEEDER), spool)
    server.put_ended = threading.Event()
    yield server
    server.shutdown()


@pytest.fixture
def remote_peer(server: Watched) -> Peer:
    """The node as seen from another host."""
    return Peer(0, "chief", 0, "127.0.0.1", server.port, 0, "/elsewhere")


@pytest.fixture(params=["same host", "other host"])
def peer(request: pytest.FixtureRequest, directory: Path, remote_peer: Peer) -> Peer:
    local = request.param == "same host"
    return replace(remote_peer, spool=str(directory)) if local else remote_peer


@pytest.fixture
def client(peer: Peer, credentials: Credentials) -> Iterator[SpoolClient]:
    client = SpoolClient(peer, credentials)
    yield client
    client.close()


def located(*ids: int, partition: int = 0, row: int = 0) -> LocatedBatch:
    batch = pa.record_batch([pa.array(ids, pa.int64())], schema=SCHEMA)
    return LocatedBatch(batch, Origin(partition, row))


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.*"))


def read(spool: Spool, feed: str, segment: str, rows: int) -> list[LocatedBatch]:
    spool.apply(Publish(feed, segment, rows))
    reader = RowReader()
    path, count = spool.window(feed, 0, 0, 0.0)["segments"][-1]
    reader.append(path, count)
    return reader.read(0, rows)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    batches=st.lists(
        st.tuples(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), st.integers(0, 2**50)),
        min_size=1,
        max_size=5,
    ),
    number=st.uuids(),
)
def test_rows_and_origins_arrive_in_order(
    spool: Spool, client: SpoolClient, batches: list[tuple[list[int], int]], number: Any
) -> None:
    feed, segment = f"feed-{number}", "0.0-3"
    stream = client.open(feed, segment, SCHEMA)
    for ids, row in batches:
        stream.write(located(*ids, partition=3, row=row))
    stream.finish()

    sent = [(id_, row + place) for ids, row in batches for place, id_ in enumerate(ids)]
    slices = read(spool, feed, segment, len(sent))
    found = [
        (id_, part.origin.moved(place).row)
        for part in slices
        for place, id_ in enumerate(part.batch.column("id").to_pylist())
    ]
    assert found == sent
    assert {part.origin.partition for part in slices} <= {3}


def test_a_slice_is_sent_as_what_it_shows(spool: Spool, client: SpoolClient) -> None:
    whole = located(*range(10)).batch
    stream = client.open("train", "a", SCHEMA)
    stream.write(LocatedBatch(whole.slice(3, 4), Origin(1, 103)))
    stream.finish()
    [part] = read(spool, "train", "a", 4)
    assert part.batch.column("id").to_pylist() == [3, 4, 5, 6]
    assert part.origin == Origin(1, 103)


def test_the_segment_is_complete_when_finish_returns(directory: Path, client: SpoolClient) -> None:
    stream = client.open("train", "0.0-3", SCHEMA)
    stream.write(located(1))
    stream.finish()
    assert files(directory) == ["train/0.0-3.arrow"]


def test_a_sender_that_dies_leaves_nothing(
    directory: Path, server: Watched, remote_peer: Peer, credentials: Credentials
) -> None:
    class Dies(Exception):
        pass

    def batches() -> Iterator[LocatedBatch]:
        yield located(1)
        raise Dies

    with pytest.raises(Dies):
        send_segment(remote_peer, credentials, "train", "a", batches())
    assert server.put_ended.wait(SECONDS)
    assert files(directory) == []


def test_a_batch_that_cannot_be_stored_is_an_error_of_the_sender(
    directory: Path, server: Watched, remote_peer: Peer, credentials: Credentials
) -> None:
    class Nonsense(Origin):
        def encode(self) -> bytes:
            return b"no origin"

    client = SpoolClient(remote_peer, credentials)
    stream = client.open("train", "a", SCHEMA)
    stream.write(LocatedBatch(located(1).batch, Nonsense(0, 0)))
    with pytest.raises(pa.ArrowException):
        stream.finish()
    assert server.put_ended.wait(SECONDS)
    assert files(directory) == []


def test_send_segment_sends_to_the_peer(spool: Spool, peer: Peer, credentials: Credentials) -> None:
    send_segment(peer, credentials, "train", "given-0", iter([located(1, 2), located(3, row=2)]))
    slices = read(spool, "train", "given-0", 3)
    assert [part.batch.column("id").to_pylist() for part in slices] == [[1, 2], [3]]


@pytest.mark.parametrize("token", ["", "0123456789abcdef"])
def test_a_stranger_writes_nothing(
    directory: Path, spool: Spool, server: Watched, remote_peer: Peer, keys: Keys, token: str
) -> None:
    stranger = Credentials(token, keys.certificate)
    with pytest.raises(flight.FlightUnauthenticatedError):
        send_segment(remote_peer, stranger, "train", "a", [located(1)])
    assert not server.put_ended.is_set()
    assert files(directory) == []


def test_a_node_that_is_gone_is_named(
    spool: Spool, server: Watched, peer: Peer, credentials: Credentials
) -> None:
    spool.remove()
    server.shutdown()
    with pytest.raises(NodeGoneError, match=r"chief:0 on 127\.0\.0\.1 is gone"):
        send_segment(peer, credentials, "train", "b", [located(1)])


def test_a_spool_that_goes_while_it_is_written_is_named(
    directory: Path, remote_peer: Peer, spool: Spool, credentials: Credentials
) -> None:
    segment = SpoolClient(replace(remote_peer, spool=str(directory)), credentials).open(
        "train", "a", SCHEMA
    )
    segment.write(located(1))
    spool.remove()
    with pytest.raises(NodeGoneError, match=r"chief:0 on 127\.0\.0\.1 is gone"):
        segment.finish()


def test_rows_are_for_the_executors_user_alone(directory: Path, spool: Spool) -> None:
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_spool_on_a_disk_that_machines_share_is_not_written_to(tmp_path: Path) -> None:
    here = Peer(0, "chief", 0, "127.0.0.1", 1, 1, str(tmp_path))
    assert is_on_this_host(here)
    assert not is_on_this_host(replace(here, machine="another"))
    assert not is_on_this_host(replace(here, spool=str(tmp_path / "gone")))
