"""A stream of many small segments: what grows with their number.

The coordinator, its calls, the agents' spools and the trainers' readers are the real ones, all in
this process, with real files. What Spark does is left out: micro-batches of one row for each node
are written here, committed and ended one after the other.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa

from benchmarks.control_plane import start_coordinator
from benchmarks.report import Comparison, Series, Under, table
from benchmarks.session import Session
from tensorsparkml.control.feeds.feed_ledger import FeedLedger, SpoolLimit
from tensorsparkml.control.liveness.driver_watch import Reach
from tensorsparkml.control.protocol.directives import Directive
from tensorsparkml.control.protocol.events import Dropped, Started
from tensorsparkml.control.protocol.feeds import Commit
from tensorsparkml.control.protocol.keys import of_node
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.data.spool.segments import (
    LocatedBatch,
    Origin,
    RowReader,
    SegmentWriter,
    segment_path,
)
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.executor.agent.coordinator_link import DriverLink, make_conversations
from tensorsparkml.executor.agent.output_log import NodeLog

_FEED = "train"
_NODES = 2
_SEGMENTS = 200_000  # over all nodes; `--scale 5` for a million
_FIRST = 10_000  # after which growth counts
_LOOKS = 10
_AHEAD = 200  # micro-batches
_SCHEMA = pa.schema([("id", pa.int64())])


@dataclass(frozen=True)
class Usage:
    """What this process uses.

    Attributes:
        segments: How many segments have come so far.
        memory: Resident memory in MB.
        files: Open files.
        mappings: Mapped regions of memory.
    """

    segments: int
    memory: float
    files: int
    mappings: int


class StreamingNode:
    """A node that reads its rows as they come, and drops them."""

    def __init__(self, plan: ClusterPlan, rank: int, folder: Path) -> None:
        self.spool_folder = folder / f"spool-{rank}"
        self._spool = Spool(self.spool_folder)
        self._rows = RowReader()  # the trainer's
        self._changed = threading.Condition()
        link = DriverLink(plan.lease_seconds, lambda: Reach.ACCEPTED)
        client = RpcClient(plan.coordinator, plan.keys.credentials(of_node(rank)))
        log = NodeLog(folder / f"{rank}.log")
        self._mailbox, self._reporter = make_conversations(
            plan, rank, client, log, link, self._deliver
        )
        role, index = plan.roles.nodes[rank]
        peer = Peer(rank, role, index, "127.0.0.1", 40_000, 40_001, str(self.spool_folder))
        self._reporter.start()
        self._reporter.send(Started(peer))
        threading.Thread(target=self._mailbox.run, daemon=True).start()

    def wait_for(self, rows: int) -> None:
        """Wait until so many rows were read."""
        with self._changed:
            self._changed.wait_for(lambda: self._rows.dropped_rows >= rows)

    def stop(self) -> None:
        """Ask for no more directives."""
        self._mailbox.stop()

    def _deliver(self, directive: Directive) -> None:
        self._spool.apply(directive)  # type: ignore[arg-type]  # no other comes here
        window = self._spool.window(_FEED, self._rows.segments, 0, 0.0)
        for path, rows in window["segments"]:
            self._rows.append(path, rows)
        begin = self._rows.dropped_rows
        assert len(self._rows.read(begin, self._rows.rows - begin)) == len(window["segments"])
        if dropped := self._rows.drop(self._rows.rows):
            self._spool.forget(_FEED, dropped)
            self._reporter.send(Dropped(_FEED, dropped))
            with self._changed:
                self._changed.notify_all()


def run(session: Session, repeats: int, kinds: list[str]) -> list[Comparison]:
    """Feed all segments once, and compare what was used at the end with the goals."""
    total = max(int(_SEGMENTS * session.scale), 2 * _FIRST)
    found = list(feed(total))
    cells = [[f"{u.segments:,}", f"{u.memory:.1f}", str(u.files), str(u.mappings)] for u in found]
    print(f"\n{table(['segments', 'memory, MB', 'open files', 'mappings'], cells)}")
    first, last = next(usage for usage in found if usage.segments == _FIRST), found[-1]
    wanted = [
        ("memory", "MB", last.memory - first.memory, 20.0),
        ("open files", "files", last.files - first.files, 10.0),
        ("mappings", "mappings", last.mappings - first.mappings, 100.0),
    ]
    return [
        Comparison(
            what=f"a stream of {last.segments:,} segments: more {what} than after {_FIRST:,}",
            against="the goal",
            ours=Series(unit, [value]),
            theirs=Series(unit, [goal]),
            limit=Under(goal, unit),
        )
        for what, unit, value, goal in wanted
    ]


def feed(total: int) -> Iterator[Usage]:
    """Feed so many segments, and yield what is used after the first ones and later on."""
    coordinator, plan = start_coordinator(_NODES)
    batch = pa.record_batch([pa.array([0], pa.int64())], schema=_SCHEMA)
    batches = total // _NODES
    looks = {_FIRST // _NODES, *(batches * part // _LOOKS for part in range(1, _LOOKS + 1))}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        nodes = [StreamingNode(plan, rank, Path(folder)) for rank in range(_NODES)]
        limit = SpoolLimit(2**30, cached=False, replayable=False)
        coordinator.open_feed(FeedLedger(_FEED, _NODES, limit=limit))
        for number in range(batches):
            _write(nodes, number, batch)
            ranks, sizes = tuple(range(_NODES)), (batch.nbytes,) * _NODES
            key, segment = f"{number}/0.0", f"0.{number}-0"
            coordinator.commit(Commit(_FEED, key, segment, ranks, (1,) * _NODES, sizes))
            coordinator.end_part(_FEED, str(number))
            for node in nodes:
                node.wait_for(number - _AHEAD)
            if number + 1 in looks:
                for node in nodes:
                    node.wait_for(number + 1)
                yield _usage((number + 1) * _NODES)
        for node in nodes:
            node.stop()
        coordinator.close()


def _write(nodes: list[StreamingNode], number: int, batch: pa.RecordBatch) -> None:
    for node in nodes:
        writer = SegmentWriter(segment_path(node.spool_folder, _FEED, f"0.{number}-0"), _SCHEMA)
        writer.write(LocatedBatch(batch, Origin(0, number)))
        writer.finish()


def _usage(segments: int) -> Usage:
    time.sleep(0.5)  # for calls under way
    process = psutil.Process()
    memory = process.memory_info().rss / 1e6
    return Usage(segments, memory, process.num_fds(), len(process.memory_maps(grouped=False)))
