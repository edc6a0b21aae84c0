"""The directives for all nodes, each of which has one call that waits for its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from tensorsparkml.control.coordinator.mailbox import Mailbox
from tensorsparkml.control.feeds.feed_ledger import Addressed
from tensorsparkml.control.protocol.directives import Directive
from tensorsparkml.driver.lifecycle.wakeups import Wakeups


class Mailboxes:
    """Keeps the directives of each node until it has acknowledged them.

    Args:
        nodes: Number of nodes.
        lock: The coordinator's lock. All methods but `follow` must be called with it held.
        waiting: Where calls wait, by rank.
    """

    def __init__(self, nodes: int, lock: threading.RLock, waiting: Wakeups[int | str]) -> None:
        self._mailboxes = [Mailbox() for _ in range(nodes)]
        self._lock = lock
        self._waiting = waiting

    def put(self, addressed: Addressed) -> None:
        """Add directives and wake the calls of their nodes."""
        for rank, directive in addressed:
            self._mailboxes[rank].put(directive)
        self._waiting.wake({rank for rank, _ in addressed})

    def put_all(self, directive: Directive) -> None:
        """Add one directive for every node and wake all calls."""
        self.put([(rank, directive) for rank in range(len(self._mailboxes))])

    def acknowledge(self, rank: int, received: int) -> None:
        """Forget the first directives of a node, up to that number."""
        self._mailboxes[rank].acknowledge(received)

    def follow(
        self, rank: int, received: int, seconds: float, ended: Callable[[], bool]
    ) -> Iterator[list[Directive]]:
        """Yield the directives of a node as they come, several together where they are there.

        Args:
            rank: Rank of the node.
            received: How many it has received.
            seconds: For how long to wait for news.
            ended: Whether no news will come; looked at when the rank is woken.
        """
        deadline = time.monotonic() + seconds
        while directives := self._next(rank, received, deadline, ended):
            received += len(directives)
            yield directives

    def _next(
        self, rank: int, received: int, deadline: float, ended: Callable[[], bool]
    ) -> list[Directive]:
        mailbox = self._mailboxes[rank]
        with self._lock:
            self._waiting.wait_for(
                rank,
                lambda: mailbox.has_news(received) or ended(),
                deadline - time.monotonic(),
            )
            return mailbox.after(received)
