"""The root cause among several failures."""

from __future__ import annotations

from collections.abc import Sequence

from tensorsparkml.control.protocol.failures import Failure

HUNG = "TrainerHungError"


def root_cause(failures: Sequence[Failure]) -> tuple[Failure, list[Failure]]:
    """Return the root cause, and the other failures.

    It is the first failure that is not a consequence of another node's: a broken collective may be
    reported before the crash that broke it. If all are consequences, it is a trainer that hangs, if
    there is one, and else the first of them.

    Args:
        failures: At least one, in the order in which they were reported.
    """

    def order(failure: Failure) -> int:
        return failure.consequence + (failure.consequence and failure.kind != HUNG)

    root = min(failures, key=order)
    return root, [failure for failure in failures if failure is not root]
