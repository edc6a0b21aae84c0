"""Which calls the mains have begun that all of them must make, as the nodes compute together."""

from __future__ import annotations

from collections.abc import Sequence

from tensorsparkml.control.messages import Failure


class JointCalls:
    """Counts each node's calls.

    Args:
        names: The nodes' names, by rank.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._made = [0] * len(names)
        self._last = [""] * len(names)

    def begun(self, rank: int, number: int, call: str) -> None:
        """Record that a main begins a call, such as `fit`, and which it is of those, from 1."""
        self._made[rank], self._last[rank] = number, call

    def left_alone(self, returned: Sequence[int], running: Sequence[int]) -> Failure | None:
        """Return why a main waits for ever, or None.

        Args:
            returned: Ranks of the nodes whose mains have returned.
            running: Ranks of those whose mains run.
        """
        if not returned or not running:
            return None
        absent = min(returned, key=lambda rank: self._made[rank])
        waiting = max(running, key=lambda rank: self._made[rank])
        if self._made[waiting] <= self._made[absent]:
            return None
        message = (
            f"{self._last[waiting]} waits for {self._names[absent]}, whose main has returned: this "
            f"is call {self._made[waiting]} of fit, evaluate or predict on {self._names[waiting]}, "
            f"and {self._names[absent]} has made {self._made[absent]}. All nodes compute together, "
            "so let every node make each call, in the same order"
        )
        return Failure("NodeError", message, self._names[waiting])
