"""The directives for one node that it has not acknowledged."""

from __future__ import annotations

from collections import deque
from itertools import islice

from tensorsparkml.control.protocol.directives import Directive


class Mailbox:
    """Keeps directives in order until the node says that it has them.

    A node that asks says how many directives it has received so far. These are forgotten, so a
    mailbox does not grow as long as its node asks.
    """

    def __init__(self) -> None:
        self._acknowledged = 0
        self._waiting: deque[Directive] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, directive: Directive) -> None:
        """Add a directive."""
        self._waiting.append(directive)

    def acknowledge(self, received: int) -> None:
        """Forget the first directives, up to that number."""
        while self._acknowledged < received and self._waiting:
            self._waiting.popleft()
            self._acknowledged += 1

    def has_news(self, received: int) -> bool:
        """Whether there are directives after that number."""
        return self._acknowledged + len(self._waiting) > received

    def after(self, received: int) -> list[Directive]:
        """Return all directives after that number.

        A node that asks for some that it has acknowledged has given up that call, and made another
        one: there is nobody to receive the reply.
        """
        skipped = received - self._acknowledged
        return list(islice(self._waiting, skipped, None)) if skipped >= 0 else []
