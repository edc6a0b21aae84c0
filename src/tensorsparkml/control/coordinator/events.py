"""What agents report → changes of the cluster's state."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tensorsparkml.control.cluster_state import ClusterState
from tensorsparkml.control.feed_ledger import Addressed
from tensorsparkml.control.messages import FeedProgress, Peer, decode_failure


def apply_event(state: ClusterState, rank: int, event: Mapping[str, Any], now: float) -> Addressed:
    """Change the state as an event of a node says, and return the directives that follow.

    Args:
        state: The cluster.
        rank: Rank of the node.
        event: Its kind, and what belongs to it.
        now: Seconds of any monotonic clock.
    """
    match event["kind"]:
        case "started":
            state.started(rank, Peer(**event["peer"]), event.get("processes", ()))
        case "finished":
            return state.finished(rank, base64.b64decode(event["result"]))
        case "failed":
            return state.failed(decode_failure(event["failure"]), now)
        case "gone":
            state.gone(rank)
        case "epoch":
            state.epoch_ended(event)
        case "joint_call":
            state.joint_calls.begun(rank, event["number"], event["name"])
        case "joint_call_ended":
            state.joint_calls.ended(rank)
        case "trainer_silent":
            state.trainer_silent(rank, event["seconds"], event["state"], now)
        case "trainer_heard":
            state.trainer_heard(rank)
        case "awaits_end":
            state.awaits_end(rank)
        case "unawaited":
            state.unawaited(rank)
        case "share":
            state.feeds[event["feed"]].shared(rank, event["rows"])
        case "given":
            return state.given(event["feed"], event["segment"])
        case "progress":
            progress = FeedProgress(event["passes"], event["rows"], event["terminated"])
            return state.consumed(rank, event["feed"], progress)
        case "begin":
            return state.begins_pass(rank, event["feed"], event["number"], event["whole"])
        case "dropped":
            state.feeds[event["feed"]].dropped(rank, event["rows"])
        case "starving":
            state.feeds[event["feed"]].starving(rank, event["segments"])
    return []
