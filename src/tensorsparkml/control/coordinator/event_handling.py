"""Events of agents → changes of the cluster's state."""

from __future__ import annotations

import base64
from typing import assert_never

from tensorsparkml.control.coordinator.cluster_state import ClusterState
from tensorsparkml.control.feeds.feed_ledger import Addressed
from tensorsparkml.control.protocol.events import (
    AwaitsEnd,
    Dropped,
    EpochEnded,
    Failed,
    Finished,
    Given,
    Gone,
    JointCallBegan,
    JointCallEnded,
    PassRequested,
    Progress,
    ShareCounted,
    Started,
    Starving,
    StateEvent,
    TensorBoardAt,
    TrainerHeard,
    TrainerSilent,
    Unawaited,
)


def apply_event(state: ClusterState, rank: int, event: StateEvent, now: float) -> Addressed:
    """Change the state as an event of a node says, and return the directives that follow.

    Args:
        state: The cluster.
        rank: Rank of the node.
        event: What has happened there.
        now: Seconds of any monotonic clock.
    """
    match event:
        case Started(peer, processes):
            state.started(rank, peer, processes)
        case Finished(result):
            return state.finished(rank, base64.b64decode(result))
        case Failed(failure):
            return state.failed(failure, now)
        case Gone():
            state.gone(rank)
        case TrainerSilent(seconds, process_state):
            state.trainer_silent(rank, seconds, process_state, now)
        case TrainerHeard():
            state.trainer_heard(rank)
        case AwaitsEnd():
            state.awaits_end(rank)
        case Unawaited():
            state.unawaited(rank)
        case JointCallBegan(number, name):
            state.joint_calls.begun(rank, number, name)
        case JointCallEnded():
            state.joint_calls.ended(rank)
        case EpochEnded():
            state.epoch_ended(event)
        case TensorBoardAt(url):
            state.tensorboard_at(url)
        case ShareCounted(feed, rows):
            state.feeds[feed].shared(rank, rows)
        case Given(feed, segment):
            return state.given(feed, segment)
        case Progress(feed, progress):
            return state.consumed(rank, feed, progress)
        case PassRequested(feed, number, whole):
            return state.begins_pass(rank, feed, number, whole)
        case Dropped(feed, rows):
            state.feeds[feed].dropped(rank, rows)
        case Starving(feed, segments):
            state.feeds[feed].starving(rank, segments)
        case _:
            assert_never(event)
    return []
