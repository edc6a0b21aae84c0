"""Feeders bring a partition to the nodes in turn and commit what arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.example_commits import commit_of
from tests.unit.example_keys import AGENT, FEEDERS

from tensorsparkml.control.protocol.directives import Publish
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.rpc import RpcServer, tcp_location
from tensorsparkml.data.spool.segments import LocatedBatch, RowReader
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import SpoolServer
from tensorsparkml.executor.feeding.feeder import Feeder


@dataclass
class Nodes:
    """Two agents' data servers, and a coordinator that notes commits."""

    spools: list[Spool]
    peers: list[Peer]
    commits: list[Commit] = field(default_factory=list)
    placed: list[tuple[bool, list[int], int]] = field(default_factory=list)

    def place(self, first: bool, near: Sequence[int], size: int) -> Sequence[int]:
        self.placed.append((first, list(near), size))
        return near if first else range(len(self.peers))

    def feed(self, batches: list[list[int]], commit_bytes: int | None = None) -> None:
        feeder = Feeder(
            FEEDERS, self.peers, "train", 4, 7, self.commits.append, self.place, commit_bytes
        )
        try:
            feeder.run(pa.record_batch({"id": pa.array(ids, pa.int64())}) for ids in batches)
        finally:
            feeder.close()

    def rows(self, rank: int) -> list[LocatedBatch]:
        """The rows of a node as its committed segments have them."""
        for commit in self.commits:
            if rows := commit.rows_by_rank.get(rank):
                self.spools[rank].apply(Publish("train", commit.segment, rows))
        reader = RowReader()
        for path, rows in self.spools[rank].window("train", 0, 0, 0.0)["segments"]:
            reader.append(path, rows)
        return reader.read(0, reader.rows)


@contextmanager
def two_nodes(tmp_path: Path, local: Sequence[int]) -> Iterator[Nodes]:
    spools = [Spool(tmp_path / str(rank)) for rank in range(2)]
    servers: list[RpcServer] = [
        SpoolServer(tcp_location("127.0.0.1"), AGENT, spool) for spool in spools
    ]

    def folder(rank: int) -> str:
        return str(spools[rank].directory) if rank in local else "/elsewhere"

    peers = [
        Peer(rank, "worker", rank, "127.0.0.1", server.port, 0, folder(rank))
        for rank, server in enumerate(servers)
    ]
    try:
        yield Nodes(spools, peers)
    finally:
        for server in servers:
            server.shutdown()


@pytest.fixture(params=["same host", "other host"])
def nodes(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    with two_nodes(tmp_path, [0, 1] if request.param == "same host" else []) as found:
        yield found


def test_a_partition_is_committed_once_with_all_its_rows(nodes: Nodes) -> None:
    nodes.feed([[0, 1, 2], [], [3, 4, 5, 6], [7]])
    assert nodes.commits == [commit_of("train", "4.0", "4.0-7", (4, 4), (32, 32))]
    found = []
    for rank in range(2):
        for part in nodes.rows(rank):
            for place, row in enumerate(part.batch.column("id").to_pylist()):
                # The test's rows are numbered as in their partition.
                assert part.origin.describe(place) == f"row {row} of partition 4"
                found.append(row)
    assert sorted(found) == list(range(8))


def test_parts_are_committed_under_keys_of_their_own(nodes: Nodes) -> None:
    nodes.feed([[0, 1], [2, 3], [4, 5]], commit_bytes=32)
    assert nodes.commits == [
        commit_of("train", "4.0", "4.0-7", (2, 2), (16, 16)),
        commit_of("train", "4.1", "4.1-7", (1, 1), (8, 8)),
    ]
    ids = [
        row["id"]
        for rank in range(2)
        for part in nodes.rows(rank)
        for row in part.batch.to_pylist()
    ]
    assert sorted(ids) == list(range(6))


def test_an_empty_partition_is_committed_too(nodes: Nodes) -> None:
    nodes.feed([])
    assert nodes.commits == [commit_of("train", "4.0", "4.0-7", (0, 0), (0, 0))]


def test_a_partition_that_fails_is_not_committed(nodes: Nodes) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": [1, 2]})
        raise ZeroDivisionError

    feeder = Feeder(FEEDERS, nodes.peers, "train", 0, 0, nodes.commits.append, nodes.place)
    with pytest.raises(ZeroDivisionError):
        feeder.run(batches())
    feeder.close()
    assert nodes.commits == []
    assert not [path for peer in nodes.peers for path in Path(peer.spool).rglob("*.partial")]


def test_nobody_is_asked_where_all_nodes_are_equally_near(nodes: Nodes) -> None:
    nodes.feed([[0, 1], [2, 3]])
    assert nodes.placed == []


def test_rows_go_where_the_coordinator_says(tmp_path: Path) -> None:
    placed_at_once = 32 * 2**20
    with two_nodes(tmp_path, local=[1]) as nodes:
        large = list(range(placed_at_once // 8))
        nodes.feed([[0, 1, 2], large, [7, 8]])
        assert nodes.placed == [(True, [1], placed_at_once), (False, [1], placed_at_once)]
        rows = (1, 3 + len(large) + 1)
        assert nodes.commits == [
            commit_of("train", "4.0", "4.0-7", rows, tuple(8 * count for count in rows))
        ]
        assert [part.batch.num_rows for part in nodes.rows(0)] == [1]


@pytest.mark.parametrize("nodes", [5, 200, 1_000])
def test_segments_stay_large_with_many_nodes(tmp_path: Path, nodes: int) -> None:
    spools = [tmp_path / str(rank) for rank in range(nodes)]
    for spool in spools:
        spool.mkdir()
    peers = [
        Peer(rank, "worker", rank, "127.0.0.1", 0, 0, str(spool))
        for rank, spool in enumerate(spools)
    ]
    columns = {f"c{index}": pa.array(range(10_000), pa.float32()) for index in range(20)}
    batch = pa.record_batch(columns)
    batches = 40  # of 800 kB
    commits: list[Commit] = []
    feeder = Feeder(FEEDERS, peers, "train", 3, 0, commits.append, lambda *_: range(nodes), job=2)
    feeder.run(iter([batch] * batches))
    feeder.close()
    [commit] = commits
    files = {rank: path for rank in range(nodes) for path in spools[rank].rglob("*.arrow")}
    assert set(files) == set(commit.ranks)
    assert sum(commit.rows) == 10_000 * batches
    # Each record batch but the first, which four nodes share, is one slice.
    slices = {rank: pa.ipc.open_file(pa.memory_map(str(path))) for rank, path in files.items()}
    assert sum(file.num_record_batches for file in slices.values()) == batches + 3
    read = {rank: file.read_all().num_rows for rank, file in slices.items()}
    assert read == commit.rows_by_rank
    assert len(files) == min(nodes, 21)
    written = sum(path.stat().st_size for path in files.values())
    assert sum(commit.bytes) <= written <= 1.02 * sum(commit.bytes)
    assert sum(commit.bytes) == batch.nbytes * batches


def test_jobs_of_a_feed_begin_with_other_nodes(tmp_path: Path) -> None:
    with two_nodes(tmp_path, local=[0, 1]) as nodes:
        for job in range(4):
            feeder = Feeder(
                FEEDERS, nodes.peers, "train", 0, job, nodes.commits.append, nodes.place, job=job
            )
            feeder.run(iter([pa.record_batch({"id": [job]})]))
            feeder.close()
        assert [commit.ranks for commit in nodes.commits] == [(0,), (0,), (1,), (0,)]
