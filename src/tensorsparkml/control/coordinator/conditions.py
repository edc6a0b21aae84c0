"""Conditions on the cluster's state for which the driver waits, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from tensorsparkml.control.coordinator.cluster_state import ClusterState


@dataclass(frozen=True)
class AllStarted:
    """Every node's trainer runs, or has run."""


@dataclass(frozen=True)
class AllFinished:
    """Every main that is waited for has returned."""


@dataclass(frozen=True)
class AllGone:
    """Nothing of any node is left, or will ever be heard of."""


@dataclass(frozen=True)
class AllConfirmed:
    """Every node that has started has reported that nothing of it is left."""


@dataclass(frozen=True)
class AnyFailure:
    """Something has failed."""


@dataclass(frozen=True)
class TensorBoardKnown:
    """It is known where TensorBoard serves, or that it does not; or something has failed."""


@dataclass(frozen=True)
class FeedDone:
    """Every node has read the feed that often, needs no more of it, or has finished."""

    feed: str
    passes: int


@dataclass(frozen=True)
class FeedUnwanted:
    """No node needs another row of this delivery of the feed."""

    feed: str


@dataclass(frozen=True)
class FeedClosed:
    """Every node has its share of this delivery of the feed, or no node needs another row."""

    feed: str


@dataclass(frozen=True)
class DeliveryWanted:
    """The nodes wait for a later delivery of the feed than that of a number."""

    feed: str
    after: int


Condition = (
    AllStarted
    | AllFinished
    | AllGone
    | AllConfirmed
    | AnyFailure
    | TensorBoardKnown
    | FeedDone
    | FeedUnwanted
    | FeedClosed
    | DeliveryWanted
)


def holds(condition: Condition | None, state: ClusterState) -> bool:
    """Whether a condition holds; None never does."""
    match condition:
        case None:
            return False
        case AllStarted():
            return state.all_started
        case AllFinished():
            return state.all_finished
        case AllGone():
            return state.all_gone
        case AllConfirmed():
            return state.all_confirmed
        case AnyFailure():
            return bool(state.failures)
        case TensorBoardKnown():
            return state.tensorboard_known or bool(state.failures)
        case FeedDone(feed, passes):
            return state.feed_done(feed, passes)
        case FeedUnwanted(feed):
            return state.feed_unwanted(feed)
        case FeedClosed(feed):
            return state.feeds[feed].closed or state.feed_unwanted(feed)
        case DeliveryWanted(feed, after):
            return feed in state.feeds and state.feeds[feed].current_delivery > after
        case _:
            assert_never(condition)
