"""A feed that all nodes read at once: real spools and a real ledger, in one process.

Whenever a node waits, Spark delivers a little more. So the tests need no threads, and a node that
waits for what never comes is an error instead of a hang.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.unit.example_commits import commit_of

from tensorsparkml.control.feeds.feed_ledger import Addressed, FeedLedger, SpoolLimit
from tensorsparkml.control.protocol.directives import Give
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.data.spool.segments import LocatedBatch, Origin
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.trainer.datasets.data_feed import DataFeed
from tensorsparkml.trainer.datasets.feed_reader import FeedReader

FEED = "train"
SCHEMA = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32()))])


@dataclass
class Simulation:
    """The cluster around the readers.

    Attributes:
        directory: Where the spools lie.
        commits: The rows that each further commit brings to each node.
        passes: How often a `DataFeed` delivers the rows.
    """

    directory: Path
    commits: list[list[int]]
    nodes: int
    passes: int = 1
    seed: int | None = None
    ordered: bool = False
    limit: SpoolLimit | None = None
    reports: list[list[FeedProgress]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first = self.ledger = FeedLedger(
            FEED,
            self.nodes,
            self.passes,
            seed=self.seed,
            ordered=self.ordered,
            limit=self.limit,
        )
        self.deliveries = 1
        self.dropping: set[int] = set()  # nodes that have dropped rows of this delivery
        self.spools = [Spool(self.directory / str(rank)) for rank in range(self.nodes)]
        self.readers = [
            FeedReader(StubAgent(self, rank), FEED, self.nodes, rank)  # type: ignore[arg-type]
            for rank in range(self.nodes)
        ]
        self.reports = [[] for _ in range(self.nodes)]
        self.total = sum(map(sum, self.commits))
        self.turns = list(range(len(self.commits)))  # in which the commits come
        self._delivered = 0
        self._carry_out(self.ledger.open())

    def deliver_more(self) -> None:
        """Commit what is next, or close the feed."""
        assert not self.ledger.closed, "a node waits for rows of a feed that is closed"
        if self._delivered == len(self.commits):
            self._carry_out(self.ledger.close())
            return
        turn = self.turns[self._delivered]
        rows, segment = self.commits[turn], f"{turn}-0"
        next_id = sum(map(sum, self.commits[:turn]))
        for rank, count in enumerate(rows):
            if count:
                ids = range(next_id, next_id + count)
                self._write(rank, segment, [located(*ids)])
                next_id += count
        commit = commit_of(self.ledger.name, str(turn), segment, tuple(rows), (8,) * len(rows))
        self._carry_out(self.ledger.commit(commit))
        self._delivered += 1

    def begin_pass(self, rank: int, number: int, whole: bool) -> str | None:
        """Record that a node waits for a pass; the others, which have read theirs, do the same."""
        for other in range(self.nodes):
            self.first.ask(other, number, whole if other == rank else other not in self.dropping)
        before = self.first.current_delivery
        self._carry_out(self.first.decide(range(self.nodes)))
        if self.first.current_delivery > before:
            self.deliveries += 1
            self.dropping.clear()
            self.ledger, self._delivered = self.first.again(), 0
            self._carry_out(self.ledger.open())
        return self.spools[rank].begun(FEED, number, 0.0)["delivery"]  # type: ignore[index]

    def feeds(self, columns: list[str] | None = None) -> list[DataFeed]:
        return [DataFeed(reader, columns, {}) for reader in self.readers]

    def _write(self, rank: int, segment: str, batches: list[LocatedBatch]) -> None:
        writer = self.spools[rank].receive(self.ledger.name, segment, SCHEMA)
        for batch in batches:
            writer.write(batch)
        writer.finish()

    def _carry_out(self, addressed: Addressed) -> None:
        pending = list(addressed)
        while pending:
            rank, directive = pending.pop(0)
            match directive:
                case Give():
                    batches = self.spools[rank].rows_to_give(directive)
                    self._write(directive.target, directive.segment, batches)
                    pending += self.ledger.given(directive.segment)
                case _:
                    self.spools[rank].apply(directive)  # type: ignore[arg-type]


class StubAgent:
    """A node's agent, as its trainer sees it."""

    def __init__(self, simulation: Simulation, rank: int) -> None:
        self._simulation = simulation
        self._rank = rank

    def begin_pass(
        self, feed: str, number: int, whole: bool, wanted: Callable[[], bool]
    ) -> str | None:
        assert feed == FEED
        return self._simulation.begin_pass(self._rank, number, whole)

    def dropped(self, delivery: str, rows: int) -> None:
        assert delivery == self._simulation.ledger.name
        self._simulation.ledger.dropped(self._rank, rows)
        self._simulation.dropping.add(self._rank)

    def window(self, feed: str, segments: int, held_by_all: int) -> dict[str, Any]:
        spool = self._simulation.spools[self._rank]
        found = spool.window(feed, segments, held_by_all, 0.0)
        if found["segments"] or found["held_by_all"] > held_by_all or found["closed"]:
            return found
        self._simulation.deliver_more()
        return spool.window(feed, segments, held_by_all, 0.0)

    def progress(self, feed: str, progress: FeedProgress) -> None:
        assert feed == FEED
        self._simulation.reports[self._rank].append(progress)


def located(*ids: int) -> LocatedBatch:
    columns = [pa.array(ids, pa.int64()), pa.array([[i, -i] for i in ids], SCHEMA[1].type)]
    return LocatedBatch(pa.record_batch(columns, schema=SCHEMA), Origin(0, ids[0] if ids else 0))
