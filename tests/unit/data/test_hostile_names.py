"""A client that has the token, and gives names that are no names of feeds or segments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from tests.unit.example_keys import AGENT, FEEDERS

from tensorsparkml.control.protocol.directives import Publish
from tensorsparkml.control.protocol.rpc import RpcClient, tcp_location
from tensorsparkml.data.spool.segments import segment_path
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import SpoolServer

SECONDS = 30.0
BATCH = pa.record_batch({"id": [1]})
HOSTILE = ["../../x", "..", ".", "", "/etc", "a/b", "a\0b", ".hidden", "a\n", "x" * 300]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that has the spool deep inside of it, and what a name may not reach beside it."""
    (tmp_path / "host" / "spool" / "chief-0").mkdir(parents=True)
    (tmp_path / "host" / "x").mkdir()
    return tmp_path


@pytest.fixture
def spool(root: Path) -> Spool:
    return Spool(root / "host" / "spool" / "chief-0")


@pytest.fixture
def client(spool: Spool) -> Iterator[RpcClient]:
    server = SpoolServer(tcp_location("127.0.0.1"), AGENT, spool)
    client = RpcClient(tcp_location("127.0.0.1", server.port), FEEDERS)
    yield client
    client.close()
    server.shutdown()


def put(client: RpcClient, *path: str) -> None:
    descriptor = flight.FlightDescriptor.for_path(*(part.encode() for part in path))
    options = client.options(SECONDS)
    writer, reader = client.connection.do_put(descriptor, BATCH.schema, options)
    writer.write_with_metadata(BATCH, pa.py_buffer(b"[0, 0]"))
    writer.write_metadata(pa.py_buffer(b"end"))
    writer.done_writing()
    reader.read()
    writer.close()


def everything(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", [*HOSTILE, "copies"])
def test_a_feed_writes_nowhere_but_in_its_own_folder(
    root: Path, client: RpcClient, name: str
) -> None:
    with pytest.raises(flight.FlightError, match="cannot be the name of a feed"):
        put(client, name, "0.0-1")
    assert everything(root) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_segment_writes_nowhere_but_in_its_feed(root: Path, client: RpcClient, name: str) -> None:
    with pytest.raises(flight.FlightError, match="cannot be the name of a segment"):
        put(client, "train", name)
    assert everything(root) == []


def test_a_path_has_two_parts(root: Path, client: RpcClient) -> None:
    for parts in (["train"], ["train", "0.0-1", "more"]):
        with pytest.raises(flight.FlightError, match="a feed and a segment"):
            put(client, *parts)
    assert everything(root) == []


@pytest.mark.parametrize(
    ("feed", "segment"), [("train", "0.0-1"), ("train@12", "given-0"), ("größe v2.1", "7.3-12")]
)
def test_the_names_that_feeds_have_are_taken(
    spool: Spool, client: RpcClient, feed: str, segment: str
) -> None:
    put(client, feed, segment)
    assert everything(spool.directory) == [segment_path(spool.directory, feed, segment)]


def test_a_directive_cannot_reach_other_folders(root: Path, spool: Spool) -> None:
    kept = root / "host" / "x" / "kept.arrow"
    kept.touch()
    with pytest.raises(ValueError, match="name of a feed"):
        spool.apply(Publish("../../x", "kept", 1))
    with pytest.raises(ValueError, match="name of a segment"):
        spool.apply(Publish("train", "../../../x/kept", 1))
    with pytest.raises(ValueError, match="name of a feed"):
        spool.delete("../../x")
    assert kept.exists()
