"""Events of a node, which its agent reports to the coordinator.

Agents report events in order. The coordinator logs some, and changes the cluster's state by the
others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from tensorsparkml.control.protocol.codec import Codec
from tensorsparkml.control.protocol.failures import Failure
from tensorsparkml.control.protocol.feeds import FeedProgress
from tensorsparkml.control.protocol.peers import Peer

# The node's processes


@dataclass(frozen=True)
class Started:
    """The trainer runs.

    Attributes:
        peer: Where the node is.
        processes: Process ids of the agent and of the trainer.
    """

    peer: Peer
    processes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Finished:
    """Main has returned.

    Attributes:
        result: What it returned, pickled and in Base64.
    """

    result: str


@dataclass(frozen=True)
class Failed:
    """Something failed on the node."""

    failure: Failure


@dataclass(frozen=True)
class Gone:
    """Nothing of the node is left."""


@dataclass(frozen=True)
class TrainerSilent:
    """The trainer has not responded for a while.

    Attributes:
        seconds: How long.
        state: State of its process, such as `stopped`.
    """

    seconds: float
    state: str


@dataclass(frozen=True)
class TrainerHeard:
    """The trainer responds again."""


@dataclass(frozen=True)
class AwaitsEnd:
    """A main beside the training returns by itself once training has ended."""


@dataclass(frozen=True)
class Unawaited:
    """A main beside the training has not asked for its end in time."""


# What main does


@dataclass(frozen=True)
class JointCallBegan:
    """Main makes a call that the mains of all nodes must make.

    Attributes:
        number: Which of these calls it is, from 1; 0 for a main that is about to compute together
            with the others.
        name: The call, such as `fit`.
    """

    number: int
    name: str


@dataclass(frozen=True)
class JointCallEnded:
    """Main is in no such call any more."""


@dataclass(frozen=True)
class EpochEnded:
    """Main has trained an epoch.

    Attributes:
        epoch: Its number, from 1.
        epochs: How many there will be, or None if unknown.
        logs: Metrics by name.
        seconds: How long it took.
        rows: Rows that all nodes read in that time.
    """

    epoch: int
    epochs: int | None
    logs: dict[str, float]
    seconds: float
    rows: int


# Feeds


@dataclass(frozen=True)
class ShareCounted:
    """So many rows of a feed that files hold are the node's."""

    feed: str
    rows: int


@dataclass(frozen=True)
class Given:
    """A segment that the node was to give has arrived at its target."""

    feed: str
    segment: str


@dataclass(frozen=True)
class Progress:
    """The program has read a feed so far."""

    feed: str
    progress: FeedProgress


@dataclass(frozen=True)
class PassRequested:
    """The program is about to begin a pass over a feed whose rows are not all kept.

    Attributes:
        feed: Name of the feed.
        number: Number of the pass.
        whole: Whether nothing of the current delivery was dropped.
    """

    feed: str
    number: int
    whole: bool


@dataclass(frozen=True)
class Dropped:
    """So many more rows of a delivery, which were read, are gone from the spool."""

    feed: str
    rows: int


@dataclass(frozen=True)
class Starving:
    """The program has read what it may of a feed, and waits for more.

    Attributes:
        feed: Name of the feed.
        segments: How many of its segments the node knows.
    """

    feed: str
    segments: int


# For the driver's log


@dataclass(frozen=True)
class Lines:
    """The program has printed lines."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class NodeWarning:
    """The agent warns of something."""

    message: str


@dataclass(frozen=True)
class TensorBoardAt:
    """TensorBoard serves at a URL, or, where that is None, has ended."""

    url: str | None


# What the trainer tells its agent, which passes it on.
TrainerEvent = (
    Finished
    | Failed
    | JointCallBegan
    | JointCallEnded
    | EpochEnded
    | ShareCounted
    | Progress
    | PassRequested
    | Dropped
)
# What the driver logs.
LogEvent = Lines | NodeWarning | EpochEnded | TensorBoardAt
# What changes the cluster's state.
StateEvent = (
    TrainerEvent
    | Started
    | Gone
    | TrainerSilent
    | TrainerHeard
    | AwaitsEnd
    | Unawaited
    | Given
    | Starving
    | TensorBoardAt
)
Event = StateEvent | LogEvent

EVENTS: Codec[Event] = Codec(get_args(Event))
TRAINER_EVENTS: Codec[TrainerEvent] = Codec(get_args(TrainerEvent))
