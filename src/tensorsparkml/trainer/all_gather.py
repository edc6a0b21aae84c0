"""Exchanging small values between the nodes, through the coordinator."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pyarrow.flight as flight

from tensorsparkml.control.protocol.gathered import decode_gathered
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.rpc import RpcClient
from tensorsparkml.errors import ConfigurationError

logger = logging.getLogger(__name__)

_WAIT_SECONDS = 1.0  # how long the coordinator holds a call
_CALL_SECONDS = 10.0
_RETRY_SECONDS = 0.2
_WARN_SECONDS = 30.0


class Exchange:
    """One node's part in exchanges of all nodes.

    Args:
        coordinator: Flight location of the coordinator.
        credentials: Those of the node.
        rank: Rank of this node.
        nodes: Number of nodes.
    """

    def __init__(self, coordinator: str, credentials: Credentials, rank: int, nodes: int) -> None:
        self._coordinator = coordinator
        self._credentials = credentials
        self._rank = rank
        self._nodes = nodes

    def all_gather(
        self,
        key: str,
        value: Any,
        doing: str = "opening",
        rule: str = "open the same files, in the same order",
    ) -> list[Any]:
        """Hand a value to all nodes and return theirs, by rank; waits until all have called.

        Args:
            key: What the value is; the same on all nodes, and used once.
            value: What JSON can express.
            doing: What a node does with what the key names, for messages.
            rule: What all nodes must do, for messages.

        Raises:
            ConfigurationError: A node has ended without calling.
        """
        if self._nodes == 1:
            return [json.loads(json.dumps(value))]
        client = RpcClient(self._coordinator, self._credentials)
        body = {
            "key": key,
            "rank": self._rank,
            "nodes": self._nodes,
            "value": value,
            "wait": _WAIT_SECONDS,
        }
        warn_at = time.monotonic() + _WARN_SECONDS
        try:
            while True:
                try:
                    reply = client.call("gather", body, timeout=_CALL_SECONDS)
                except flight.FlightError as error:
                    # If the driver is gone, the agent ends this process.
                    logger.warning("the coordinator did not answer: %s", error)
                    time.sleep(_RETRY_SECONDS)
                    continue
                if reply["gathered"] is not None:
                    return decode_gathered(reply["gathered"])
                if reply["ended"]:
                    raise ConfigurationError(
                        f"{', '.join(reply['ended'])} ended without {doing} {key}; all nodes must "
                        f"{rule}"
                    )
                if time.monotonic() > warn_at:
                    warn_at += _WARN_SECONDS
                    logger.warning(
                        "waiting for %s: %s %s; all nodes must %s",
                        ", ".join(reply["missing"]),
                        doing,
                        key,
                        rule,
                    )
        finally:
            client.close()
