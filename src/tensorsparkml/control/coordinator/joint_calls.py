"""The calls of main that all nodes must make, because they compute together."""

from __future__ import annotations

from collections.abc import Sequence

from tensorsparkml.control.protocol.failures import Failure

_PATIENCE_SECONDS = 10.0


class JointCalls:
    """Counts each node's calls.

    Args:
        names: The nodes' names, by rank.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._made = [0] * len(names)
        self._last = [""] * len(names)
        self._in_call = [False] * len(names)
        self._alone_since: float | None = None
        self._told = False

    def begun(self, rank: int, number: int, call: str) -> None:
        """Record that a main begins a call, such as `fit`, and which it is of those, from 1.

        Number 0 is for a main that is about to compute together with the others.
        """
        self._made[rank], self._last[rank] = number, call
        self._in_call[rank] = number > 0

    def ended(self, rank: int) -> None:
        """Record that a main is in no call any more: it waits for nobody, whatever it does."""
        self._in_call[rank] = False

    def tell(self, returned: Sequence[int], running: Sequence[int], now: float) -> str | None:
        """Return what to log, once, of mains that run on after others have returned, or None.

        Args:
            returned: Ranks of the nodes whose mains have returned.
            running: Ranks of those whose mains run.
            now: Seconds of any monotonic clock.
        """
        together = [rank for rank in running if self._last[rank]]
        if not returned or not together or self._told:
            return None
        if self._alone_since is None:
            self._alone_since = now
        self._told = now - self._alone_since >= _PATIENCE_SECONDS
        if not self._told:
            return None
        absent, present = (
            ", ".join(self._names[rank] for rank in ranks) for ranks in (returned, together)
        )
        return (
            f"the program has returned on {absent}, and still runs on {present}; a step of "
            "training, or another operation that all nodes take part in, would wait there forever"
        )

    def left_alone(self, returned: Sequence[int], running: Sequence[int]) -> Failure | None:
        """Return why a main waits forever, or None.

        Args:
            returned: Ranks of the nodes whose mains have returned.
            running: Ranks of those whose mains run.
        """
        in_call = [rank for rank in running if self._in_call[rank]]
        if not returned or not in_call:
            return None
        absent = min(returned, key=lambda rank: self._made[rank])
        waiting = max(in_call, key=lambda rank: self._made[rank])
        if self._made[waiting] <= self._made[absent]:
            return None
        message = (
            f"{self._last[waiting]} waits for {self._names[absent]}, whose program has returned: "
            f"this is call {self._made[waiting]} of fit, evaluate or predict on "
            f"{self._names[waiting]}, and {self._names[absent]} has made {self._made[absent]}. All "
            "nodes compute together, so let every node make each call, in the same order"
        )
        return Failure("NodeError", message, self._names[waiting])
