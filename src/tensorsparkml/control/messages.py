"""The messages between coordinator, agents, feeders and trainers, as JSON.

Every message is a frozen dataclass of plain values. Directives go from the coordinator to one
agent, in order, each exactly once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from tensorsparkml.control.machine import machine_id
from tensorsparkml.control.protocol.codec import Codec, decode_fields
from tensorsparkml.roles import node_name


@dataclass(frozen=True)
class Peer:
    """Where a node is.

    Attributes:
        rank: Place of the node among all nodes, from 0.
        role: `chief`, `worker`, `ps` or `evaluator`.
        task_index: Place of the node among the nodes of its role, from 0.
        host: Address under which the other nodes reach it.
        data_port: Port of its agent's Flight server.
        tensorflow_port: Port that is held for its TensorFlow server.
        spool: Folder of its spool, on its host.
        machine: Id of its machine; by default, of this one.
    """

    rank: int
    role: str
    task_index: int
    host: str
    data_port: int
    tensorflow_port: int
    spool: str
    machine: str = field(default_factory=machine_id)

    @property
    def name(self) -> str:
        """The node's name in logs and errors, such as `worker:1`."""
        return node_name(self.role, self.task_index)


@dataclass(frozen=True)
class Failure:
    """What went wrong, where.

    Attributes:
        kind: Name of a class in `tensorsparkml.errors`.
        message: What happened and what to change.
        node: Name of the node, or None for the driver.
        remote_traceback: The traceback as the node formatted it.
        log_tail: The node's last output lines.
        consequence: Whether this is what nodes suffer when another one fails first.
    """

    kind: str
    message: str
    node: str | None = None
    remote_traceback: str | None = None
    log_tail: tuple[str, ...] = ()
    consequence: bool = False


@dataclass(frozen=True)
class Commit:
    """Rows that a feeder has written to the nodes' spools, unseen, and that may now count.

    Attributes:
        feed: Name of the feed.
        key: What the rows are; the same for every attempt to feed them.
        segment: Name under which each node's spool holds its part.
        rows: Rows of the segment on each rank.
        bytes: Size of these rows in memory on each rank.
    """

    feed: str
    key: str
    segment: str
    rows: tuple[int, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class Open:
    """A feed begins.

    Attributes:
        feed: Name of the feed.
        seed: What the order of the rows follows from in each pass, or None for the order in which
            they arrive.
        ordered: Whether nothing is read before everything is there, so that the order is the same
            whenever the rows and the seed are.
        limited: Whether rows may be dropped once they are read, so that nodes must ask where they
            find those of a further pass.
    """

    feed: str
    seed: int | None
    ordered: bool
    limited: bool


@dataclass(frozen=True)
class Drop:
    """Rows of the delivery are dropped once they are read.

    Attributes:
        feed: Name of the delivery.
        keep_bytes: How much of its beginning stays until more than that was read, because programs
            look at a batch or two before they begin.
    """

    feed: str
    keep_bytes: int


@dataclass(frozen=True)
class BeginPass:
    """All nodes may begin a pass over a feed whose rows are not all kept.

    Attributes:
        feed: Name of the feed.
        number: Number of the pass.
        delivery: Name of the delivery to read, or None where there is none to come.
    """

    feed: str
    number: int
    delivery: str | None


@dataclass(frozen=True)
class Publish:
    """A segment of the spool is now part of the feed; the next rows of the node's share."""

    feed: str
    segment: str
    rows: int


@dataclass(frozen=True)
class Release:
    """Every node holds at least this many rows of the open feed."""

    feed: str
    rows: int


@dataclass(frozen=True)
class Give:
    """Move the last rows of the node's share to another node, as a segment of its spool."""

    feed: str
    segment: str
    target: int
    rows: int


@dataclass(frozen=True)
class Close:
    """The feed is complete and balanced.

    Attributes:
        feed: Name of the feed.
        total: Rows over all nodes.
        rows: Rows of the node addressed.
        passes: How often a `DataFeed` delivers them.
    """

    feed: str
    total: int
    rows: int
    passes: int


@dataclass(frozen=True)
class Remove:
    """No node will read the rows of the complete delivery again: delete them."""

    feed: str


@dataclass(frozen=True)
class ReadFiles:
    """The nodes read the rows of the feed from files, by themselves.

    Attributes:
        feed: Name of the feed.
        uris: Parquet files, folders of them, or globs.
        passes: How often a `DataFeed` delivers them.
        seed: What the order of the rows follows from in each pass, or None for that of the files.
    """

    feed: str
    uris: tuple[str, ...]
    passes: int
    seed: int | None = None


@dataclass(frozen=True)
class LastFeeds:
    """No feed will come but these.

    Attributes:
        feeds: Their names.
    """

    feeds: tuple[str, ...]


@dataclass(frozen=True)
class EndInference:
    """No Spark task will ask for inference any more: loops over its batches end."""


@dataclass(frozen=True)
class End:
    """Every node's main has returned: the trainer may exit."""


@dataclass(frozen=True)
class Stop:
    """The cluster failed or was stopped: end the trainer."""

    reason: str


Directive = (
    Open
    | Drop
    | BeginPass
    | Publish
    | Release
    | Give
    | Close
    | Remove
    | ReadFiles
    | LastFeeds
    | EndInference
    | End
    | Stop
)
DIRECTIVES: Codec[Directive] = Codec(get_args(Directive))


def encode_failure(failure: Failure) -> dict[str, Any]:
    """Return the failure as a JSON object."""
    return dataclasses.asdict(failure)


def decode_failure(body: Mapping[str, Any]) -> Failure:
    """Return the failure that `encode_failure` wrote."""
    return decode_fields(Failure, body)


@dataclass(frozen=True)
class FeedProgress:
    """How far a node's program has read a feed.

    Attributes:
        passes: Complete passes.
        rows: Rows read since the feed began, over all passes.
        terminated: Whether the program wants no more of it.
    """

    passes: int = 0
    rows: int = 0
    terminated: bool = False
