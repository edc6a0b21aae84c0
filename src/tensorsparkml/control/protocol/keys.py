"""The secrets of a cluster: the tokens of its processes, and the certificate of its servers.

All tokens follow from one secret of the driver. Each names its caller, so that a server knows by
the token alone what the caller may do: who gets hold of a feeder's can bring rows, and neither
report for a node nor give the driver a result.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# Callers that are no nodes: what brings rows, and the programs of a cluster with parameter
# servers when they send each other what they unpickle.
FEEDER = "feeder"
DATASETS = "datasets"

_NODE = "node"
_OF_FEEDERS = frozenset({"admit", "place"})

# Returns who shows a token, or None for a stranger.
Check = Callable[[str], str | None]


def of_node(rank: int) -> str:
    """Return the name of a node as a caller; agent and trainer of the node share it."""
    return f"{_NODE}-{rank}"


def make_token(secret: str, caller: str) -> str:
    """Return the token of a caller, which begins with the caller's name."""
    return f"{caller}.{hmac.new(secret.encode(), caller.encode(), 'sha256').hexdigest()}"


def may_call(caller: str, action: str, body: Mapping[str, Any]) -> bool:
    """Whether a caller may ask the coordinator for an action.

    Feeders ask for room and for places. Nodes may do everything, but only in their own name.

    Args:
        caller: The caller, which its token names.
        action: Name of the action.
        body: The action's body, in which `rank` is the node that it speaks for.
    """
    if caller == FEEDER:
        return action in _OF_FEEDERS
    return "rank" not in body or of_node(body["rank"]) == caller


@dataclass(frozen=True)
class Credentials:
    """What a process needs to call the cluster's servers.

    Attributes:
        token: Shows who calls.
        certificate: The certificate, as PEM, of all servers that listen on TCP, or None where
            these do not use TLS.
    """

    token: str = field(repr=False)
    certificate: str | None = None


@dataclass(frozen=True)
class Guard:
    """What a server needs to let in its cluster's processes, and nobody else.

    Attributes:
        check: Tells callers by their tokens.
        certificate: The server's certificate as PEM, or None for no TLS.
        private_key: The certificate's key as PEM, or None for no TLS.
    """

    check: Check
    certificate: str | None = None
    private_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Keys:
    """As many of a cluster's secrets as a process needs.

    Attributes:
        secret: What all tokens follow from, or None where only some are known.
        tokens: Tokens by caller, where there is no secret.
        certificate: The certificate of all servers that listen on TCP, as PEM, or None where
            these do not use TLS.
        private_key: The certificate's key as PEM, or None without TLS.
    """

    secret: str | None = field(repr=False)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    certificate: str | None = None
    private_key: str | None = field(default=None, repr=False)

    def only_of(self, rank: int) -> Keys:
        """Return the keys that a node's agent needs."""
        callers = (of_node(rank), FEEDER, DATASETS)
        tokens = {caller: self.token(caller) for caller in callers}
        return replace(self, secret=None, tokens=tokens)

    def token(self, caller: str) -> str:
        """Return a caller's token.

        Raises:
            KeyError: It is none of those that this process knows.
        """
        return self.tokens[caller] if self.secret is None else make_token(self.secret, caller)

    def credentials(self, caller: str) -> Credentials:
        """Return what a caller needs; raises as `token` does."""
        return Credentials(self.token(caller), self.certificate)

    def guard(self, caller: str) -> Guard:
        """Return what a server needs that one caller uses; raises as `token` does."""
        expected = self.token(caller)
        return self._guard(lambda token: caller if _same(token, expected) else None)

    def guard_of_coordinator(self) -> Guard:
        """Return what the coordinator needs, whose callers are nodes and feeders."""
        secret = self.secret
        assert secret is not None

        def check(token: str) -> str | None:
            caller = token.rpartition(".")[0]
            known = caller == FEEDER or caller.startswith(f"{_NODE}-")
            return caller if _same(token, make_token(secret, caller)) and known else None

        return self._guard(check)

    def _guard(self, check: Check) -> Guard:
        return Guard(check, self.certificate, self.private_key)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
