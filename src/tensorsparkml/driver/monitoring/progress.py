"""Progress of feeds: turns the coordinator's counts into speeds and text.

Times are seconds of any monotonic clock; the caller passes `now`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tensorsparkml.control.coordinator.snapshot import ClusterSnapshot, FeedCounts

_WINDOW_SECONDS = 10.0
_MOST_NODES_SHOWN = 8


class Rate:
    """Speed of a counter over a sliding window.

    Args:
        window_seconds: Length of the window.
    """

    def __init__(self, window_seconds: float = _WINDOW_SECONDS) -> None:
        self._window = window_seconds
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, now: float, count: int) -> float:
        """Record the counter and return its growth per second."""
        self._seen.append((now, count))
        # One that is older than the window stays, so that the window is covered.
        while len(self._seen) > 2 and now - self._seen[1][0] >= self._window:
            self._seen.popleft()
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0


@dataclass(frozen=True)
class FeedStatus:
    """The progress of a feed.

    Attributes:
        counts: Rows fed and read.
        fed_per_second: Rows that arrive per second, over all nodes.
        read_per_second: Rows that are read per second, over all nodes.
        spool_bytes: Size of the rows of all feeds on each node's disk, by rank.
    """

    counts: FeedCounts
    fed_per_second: float
    read_per_second: float
    spool_bytes: tuple[int, ...]

    @property
    def reading_pass(self) -> int:
        """The pass that the nodes are in, from 1."""
        fed, read = sum(self.counts.fed), sum(self.counts.read)
        return max(1, -(-read // fed)) if fed else 1

    @property
    def fraction(self) -> float:
        """The part of the rows fed so far that the nodes have read in this pass."""
        fed, read = sum(self.counts.fed), sum(self.counts.read)
        return (read - (self.reading_pass - 1) * fed) / fed if fed else 0.0

    def line(self) -> str:
        """Return the numbers as a line of a log."""
        fed, read = self.counts.fed, self.counts.read
        return (
            f"feed {self.counts.name}: {_sum(fed, 'rows fed')} at {self.fed_per_second:,.0f}/s, "
            f"{_sum(read, 'read')} at {self.read_per_second:,.0f}/s, "
            f"spool {_sum_of_sizes(self.spool_bytes)}"
        )

    def brief(self) -> str:
        """Return the numbers for the end of a bar."""
        return (
            f"{sum(self.counts.read):,} rows read at {self.read_per_second:,.0f}/s, "
            f"{sum(self.counts.fed):,} fed at {self.fed_per_second:,.0f}/s, "
            f"spool {_size(sum(self.spool_bytes))}"
        )


@dataclass
class FeedMeter:
    """The speeds of one feed."""

    fed: Rate = field(default_factory=Rate)
    read: Rate = field(default_factory=Rate)

    def update(self, now: float, counts: FeedCounts, spool_bytes: tuple[int, ...]) -> FeedStatus:
        """Record the counts of now and return the progress of the feed."""
        fed = self.fed.update(now, sum(counts.fed))
        read = self.read.update(now, sum(counts.read))
        return FeedStatus(counts, fed, read, spool_bytes)


class Meters:
    """The speeds of all feeds of a cluster."""

    def __init__(self) -> None:
        self._meters: dict[str, FeedMeter] = {}

    def update(self, now: float, snapshot: ClusterSnapshot) -> list[FeedStatus]:
        """Record the counts of now and return the progress of each feed."""
        return [
            self._meters.setdefault(counts.name, FeedMeter()).update(
                now, counts, snapshot.spool_bytes
            )
            for counts in snapshot.feeds
        ]


def _sum(rows: Sequence[int], what: str) -> str:
    return _with_parts(f"{sum(rows):,} {what}", [f"{count:,}" for count in rows])


def _sum_of_sizes(sizes: Sequence[int]) -> str:
    return _with_parts(_size(sum(sizes)), [_size(size) for size in sizes])


def _with_parts(total: str, parts: list[str]) -> str:
    """Return a sum and, if there are several nodes but not too many, each node's part."""
    return f"{total} ({' + '.join(parts)})" if 1 < len(parts) <= _MOST_NODES_SHOWN else total


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
