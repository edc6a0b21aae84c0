"""A full disk is an error that says which one, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.example_keys import AGENT, FEEDERS

from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import tcp_location
from tensorsparkml.data.spool import segments
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import SpoolServer, send_segment
from tensorsparkml.errors import FeedError

ROWS = pa.record_batch({"x": pa.array(range(4096), pa.int64())})
MESSAGE = (
    rf"the disk of {os.uname().nodename} is full: .*/train/0.arrow needs 32,768 more bytes, but "
    r"only [\d,]+ are free\. Make room, .* work_dir=…, .* spool_bytes=…"
)


@pytest.fixture(autouse=True)
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has room for the beginning of a file alone."""
    write = segments._InPieces.write

    def write_a_little(self: Any, data: Any) -> None:
        if len(memoryview(data)) > 4096:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(segments._InPieces, "write", write_a_little)


def test_rows_that_a_feeder_writes_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    peer = Peer(0, "chief", 0, "127.0.0.1", 1, 1, str(spool.directory))
    with pytest.raises(FeedError, match=MESSAGE):
        send_segment(peer, FEEDERS, "train", "0", [LocatedBatch(ROWS, Origin(0, 0))])
    assert list((tmp_path / "spool" / "train").iterdir()) == []


def test_rows_that_come_from_another_host(tmp_path: Path) -> None:
    with SpoolServer(tcp_location("127.0.0.1"), AGENT, Spool(tmp_path / "spool")) as server:
        peer = Peer(1, "worker", 0, "127.0.0.1", server.port, 1, "/on/another/host")
        with pytest.raises(FeedError, match=MESSAGE) as caught:
            send_segment(peer, FEEDERS, "train", "0", [LocatedBatch(ROWS, Origin(0, 0))])
    assert caught.value.node == "worker:0"
    assert "Flight" not in caught.value.message
    assert list((tmp_path / "spool" / "train").iterdir()) == []


def test_other_errors_keep_their_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Any, data: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(segments._InPieces, "write", write)
    spool = Spool(tmp_path / "spool")
    peer = Peer(0, "chief", 0, "127.0.0.1", 1, 1, str(spool.directory))
    with pytest.raises(PermissionError):
        send_segment(peer, FEEDERS, "train", "0", [LocatedBatch(ROWS, Origin(0, 0))])
