"""Lockstep: the rule by which all nodes of a cluster yield the same number of batches.

While a feed is open, a node may yield a batch only if every node holds the rows for it. When the
feed closes, surplus rows move until all nodes hold ⌊T/N⌋ or ⌈T/N⌉ of the T rows, and the last
batches are cut so that every node ends with the same batch, and has rows in it. Pure arithmetic: no
I/O, no clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tensorsparkml.control.text import counted
from tensorsparkml.errors import EmptyFeedError


@dataclass(frozen=True)
class Transfer:
    """Rows that move from the end of one node's share to another node.

    Attributes:
        source: Rank that gives.
        target: Rank that receives.
        rows: How many rows move.
    """

    source: int
    target: int
    rows: int


def balance(rows: Sequence[int]) -> list[Transfer]:
    """Plan the transfers after which shares differ by at most one row.

    The nodes that hold the most keep the odd rows, so that the fewest rows move. No node gives
    away rows below the smallest share, which is all that any node may have yielded until then.

    Args:
        rows: Rows held by each rank.

    Returns:
        The transfers, each rank being either a source or a target.
    """
    total, nodes = sum(rows), len(rows)
    base, odd = divmod(total, nodes)
    largest_first = sorted(range(nodes), key=lambda rank: (-rows[rank], rank))
    target = {rank: base + (place < odd) for place, rank in enumerate(largest_first)}
    surplus = [(rank, rows[rank] - target[rank]) for rank in range(nodes)]
    givers = [[rank, extra] for rank, extra in surplus if extra > 0]
    takers = [[rank, -extra] for rank, extra in surplus if extra < 0]
    transfers = []
    while givers and takers:
        (source, extra), (taker, missing) = givers[-1], takers[-1]
        moved = min(extra, missing)
        transfers.append(Transfer(source, taker, moved))
        givers[-1][1] -= moved
        takers[-1][1] -= moved
        if not givers[-1][1]:
            givers.pop()
        if not takers[-1][1]:
            takers.pop()
    return transfers


@dataclass(frozen=True)
class ClosedFeed:
    """What every node knows about a feed once it is closed.

    Attributes:
        total: Rows of the feed, over all nodes.
        nodes: Number of nodes that share it.
        rows: Rows of this node after balancing.
    """

    total: int
    nodes: int
    rows: int

    @property
    def smallest_share(self) -> int:
        """Rows of the node that holds the fewest."""
        return self.total // self.nodes

    @property
    def largest_share(self) -> int:
        """Rows of the node that holds the most: at most one more than the smallest share."""
        return -(-self.total // self.nodes)

    @property
    def _rows_for_nodes(self) -> str:
        return f"{counted(self.total, 'row')} for {counted(self.nodes, 'node')}"

    def require(self, least: int, name: str) -> None:
        """Refuse a feed of which some node has too few rows.

        Args:
            least: Rows that each node needs.
            name: What the error calls the feed.

        Raises:
            EmptyFeedError: A node has fewer.
        """
        if self.smallest_share < least:
            each = "one" if least == 1 else f"{least}, one for each of its replicas"
            raise EmptyFeedError(
                f"{name} has {self._rows_for_nodes}; each node needs at least "
                f"{each}. Use fewer nodes, or check the filters of the rows"
            )

    def require_full_batch(self, size: int, name: str) -> None:
        """Refuse a feed that has no batch at all where only full ones are yielded.

        Args:
            size: Rows of a full batch on each node.
            name: What the error calls the feed.

        Raises:
            EmptyFeedError: Some node has fewer rows than that.
        """
        if self.smallest_share < size:
            raise EmptyFeedError(
                f"{name} has {self._rows_for_nodes}, so no batch of {counted(size, 'row')} "
                "is full on every node, and drop_remainder=True leaves out all rows; use "
                f"batch_size={max(1, self.smallest_share)} or less, or drop_remainder=False"
            )


@dataclass(frozen=True)
class Step:
    """One step of a pass: the batches that all nodes yield at the same time.

    Attributes:
        rows: Rows of this node's batch.
        weight: The batch's rows, relative to an even share of the step's rows. The mean over a
            batch times this, averaged over the nodes, is the mean over all rows of the step.
        smaller: Rows of the batch of a node with the smallest share.
        larger: Rows of the batch of a node with the largest share.
    """

    rows: int
    weight: float
    smaller: int
    larger: int


@dataclass(frozen=True)
class Run:
    """Consecutive steps of a pass that are alike.

    Attributes:
        rows: Rows of this node's batches together.
        weight: See `Step.weight`.
        batches: Number of steps.
    """

    rows: int
    weight: float
    batches: int


class PassCursor:
    """Where a node stands in one pass over a feed, and how large its next batch is.

    All nodes that ask for the same batch sizes reach the end after the same number of batches.

    Args:
        least: Rows that every batch of the pass has, in a feed with as many for each node: what
            divides by the number of a batch's rows must not meet one without any. Where a full
            batch has fewer than twice as many, the last one may therefore be larger than a full
            one. With 0, none is, but where batches of one row do not divide evenly, the last one
            has no rows on some nodes.
    """

    def __init__(self, least: int = 0) -> None:
        self.least = least
        self.yielded = 0
        # The same of the nodes with the smallest and with the largest share. All batches are of
        # one size, except where a smaller share is cut to have a last batch at all.
        self._by_smaller = 0
        self._by_larger = 0

    def next_while_open(self, held_by_all: int, size: int, drop_remainder: bool) -> Step | None:
        """Return the next step while rows may still come, or None when the node must wait.

        Unless the remainder is dropped, the rows of a smallest batch are held back on every node,
        because the feed may close with one more batch, which every node must take part in.

        Args:
            held_by_all: Rows of the pass that every node is known to hold.
            size: Rows of a full batch.
            drop_remainder: Whether only full batches are yielded.
        """
        needed = size if drop_remainder else size + max(self.least, 1)
        return Step(size, 1.0, size, size) if held_by_all - self.yielded >= needed else None

    def next_when_closed(self, feed: ClosedFeed, size: int, drop_remainder: bool) -> Step | None:
        """Return the next step once the feed is closed, or None at the end of the pass.

        Args:
            feed: The rows of all nodes and of this one.
            size: Rows of a full batch.
            drop_remainder: Whether only batches that are full on every node are yielded.
        """
        smallest_left = feed.smallest_share - self._by_smaller
        largest_left = feed.largest_share - self._by_larger
        if drop_remainder:
            return Step(size, 1.0, size, size) if smallest_left >= size else None
        if largest_left <= 0:
            return None
        if largest_left <= size or smallest_left < 2 * self.least:
            larger, smaller = largest_left, smallest_left
        else:
            # Rows are kept for the batch that the nodes with one more row may need.
            kept = max(self.least, 1)
            larger, smaller = (
                min(size, max(left - kept, 1)) for left in (largest_left, smallest_left)
            )
        rows = larger if feed.rows == feed.largest_share else smaller
        nodes_with_more = feed.total % feed.nodes
        all_rows = larger * nodes_with_more + smaller * (feed.nodes - nodes_with_more)
        return Step(rows, rows * feed.nodes / all_rows, smaller, larger)

    def take(self, next_step: Callable[[], Step | None], size: int, at_once: int) -> Run | None:
        """Take the steps that can be taken now, as long as they are alike, or None.

        Args:
            next_step: Returns the step that can be taken now, or None.
            size: Rows of a full batch; batches of another size are taken one by one.
            at_once: How many steps to take at most.
        """
        first = step = next_step()
        if first is None:
            return None
        batches = 0
        while step == first and batches < at_once:
            self.advance(first)
            batches += 1
            if first.rows != size:
                break
            step = next_step()
        return Run(batches * first.rows, first.weight, batches)

    def advance(self, step: Step) -> None:
        """Record that a step was taken."""
        self.yielded += step.rows
        self._by_smaller += step.smaller
        self._by_larger += step.larger


@dataclass(frozen=True)
class PassPlan:
    """All steps of a pass over a closed feed, most of which are alike.

    Attributes:
        size: Rows of a full batch.
        full: How many steps come first in which all nodes yield full batches.
        last: The steps after these: a few.
    """

    size: int
    full: int
    last: tuple[Step, ...]

    @property
    def rows(self) -> int:
        """Rows of this node in the pass."""
        return self.full * self.size + sum(step.rows for step in self.last)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.full + len(self.last)


def plan_pass(feed: ClosedFeed, size: int, drop_remainder: bool, least: int = 0) -> PassPlan:
    """Return all steps of a pass over a closed feed.

    Args:
        feed: The rows of all nodes and of this one.
        size: Rows of a full batch, at least `least`.
        drop_remainder: Whether only batches that are full on every node are yielded.
        least: See `PassCursor`.
    """
    # Before the last two batches of the smallest share no step is cut.
    full = max(feed.smallest_share // size - 2, 0)
    cursor, last = PassCursor(least), []
    cursor.advance(Step(full * size, 1.0, full * size, full * size))
    while (step := cursor.next_when_closed(feed, size, drop_remainder)) is not None:
        cursor.advance(step)
        last.append(step)
    return PassPlan(size, full, tuple(last))
