"""Directives of the coordinator to one agent, which gets them in order, each exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from tensorsparkml.control.protocol.codec import Codec


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
    """Move rows from the end of the node's share to another node.

    Attributes:
        feed: Name of the feed.
        segment: Name of the segment that they become in the other node's spool.
        target: Rank of the other node.
        start: Position of the first of them in the share.
        rows: How many rows move.
    """

    feed: str
    segment: str
    target: int
    start: int
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
