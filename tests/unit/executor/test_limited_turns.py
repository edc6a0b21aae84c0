"""Feeds of which nodes keep little, cut for nodes in turn: all come to their end.

The feed's account, the cutting and the rule of lockstep are the real ones. Feeders bring what the
account admits; when it admits nothing, the nodes read what they may.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.example_commits import commit_of

from tensorsparkml.control.feeds.feed_ledger import FeedLedger, SpoolLimit
from tensorsparkml.control.feeds.lockstep import PassCursor
from tensorsparkml.control.protocol.directives import Publish, Release
from tensorsparkml.executor.feeding.slices import Slicer, first_node

ROW_BYTES = 80
BATCH_ROWS = 10_000
READ_ROWS = 1_000


class Cluster:
    """A limited feed, and nodes that read it."""

    def __init__(self, nodes: int, limit_bytes: int) -> None:
        limit = SpoolLimit(limit_bytes, cached=False, replayable=True)
        self.ledger = FeedLedger("train", nodes, limit=limit)
        self.segments = [0] * nodes
        self.released = 0
        self.cursors = [PassCursor(least=1) for _ in range(nodes)]
        self.most_held = 0

    def commit(self, key: str, slicer: Slicer, batches: int) -> None:
        """Bring a partition."""
        nodes = len(self.cursors)
        rows = [0] * nodes
        for _ in range(batches):
            for part in slicer.cut(BATCH_ROWS, BATCH_ROWS * ROW_BYTES):
                rows[part.node] += part.rows
        sizes = [count * ROW_BYTES for count in rows]
        for rank, directive in self.ledger.commit(
            commit_of("train", key, key, tuple(rows), tuple(sizes))
        ):
            match directive:
                case Publish():
                    self.segments[rank] += 1
                case Release():
                    self.released = directive.rows
        held = (
            own - cursor.yielded for own, cursor in zip(self.ledger.rows, self.cursors, strict=True)
        )
        self.most_held = max(self.most_held, *held)

    def read(self) -> None:
        """Let each node read what it may, and wait."""
        for rank, cursor in enumerate(self.cursors):
            before = cursor.yielded
            while (step := cursor.next_while_open(self.released, READ_ROWS, False)) is not None:
                cursor.advance(step)
            self.ledger.dropped(rank, cursor.yielded - before)
            self.ledger.starving(rank, self.segments[rank])


def partitions(jobs: int, each: int, batches: int, nodes: int) -> Iterator[tuple[str, Slicer, int]]:
    for job in range(jobs):
        for partition in range(each):
            slicer = Slicer(nodes, first_node(job, partition, nodes))
            yield f"{job}/{partition}", slicer, batches


@pytest.mark.parametrize("nodes", [2, 5, 8, 50])
@pytest.mark.parametrize(
    ("jobs", "each", "batches"),
    [(1, 100, 4), (1, 400, 1), (200, 2, 1), (3, 20, 40)],
    ids=["partitions", "small partitions", "stream", "large partitions"],
)
def test_a_limited_feed_is_never_stuck(nodes: int, jobs: int, each: int, batches: int) -> None:
    limit_rows = 20_000
    cluster = Cluster(nodes, limit_rows * ROW_BYTES)
    for brought, partition in enumerate(partitions(jobs, each, batches, nodes)):
        if not cluster.ledger.admits:
            cluster.read()
        assert cluster.ledger.admits, f"all nodes wait, after {brought} partitions"
        cluster.commit(*partition)
    assert cluster.ledger.total == jobs * each * batches * BATCH_ROWS
    # What a node may get beyond its limit is what comes while another one has nothing.
    assert cluster.most_held <= limit_rows + 6 * batches * BATCH_ROWS
