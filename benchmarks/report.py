"""What was measured, whether it is enough, and how that is written down."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# Beside more of it, the side with more processes gets more of the CPUs, and ratios mislead.
MOST_OTHER_USE = 0.15

REACHED, MISSED = "reached", "not reached"
UNTOLD, NOT_THERE = "not to be told", "not there yet"
OUTCOMES = (REACHED, MISSED, UNTOLD, NOT_THERE)


@dataclass(frozen=True)
class Series:
    """The repeats of one measurement.

    Attributes:
        unit: `rows/s`, `steps/s` or `s`.
        values: One for each repeat.
    """

    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        low, high = number(min(self.values)), number(max(self.values))
        return f"{number(self.median)} {self.unit} ({low} - {high})"


class Limit(Protocol):
    """What is wanted of a comparison."""

    @property
    def wanted(self) -> str:
        """In words."""

    def found(self, ours: Series, theirs: Series) -> str:
        """What was found, in the same terms."""

    def reached(self, ours: Series, theirs: Series) -> bool:
        """Whether it is enough."""


@dataclass(frozen=True)
class AtLeast:
    """So many times the other's rate.

    Attributes:
        ratio: The least.
        aim: What would be good, where that is more.
    """

    ratio: float
    aim: float | None = None

    @property
    def wanted(self) -> str:
        """In words."""
        aim = f", aim {self.aim:g} x" if self.aim else ""
        return f"≥ {self.ratio:g} x{aim}"

    def found(self, ours: Series, theirs: Series) -> str:
        """The ratio of the medians, rounded down."""
        ratio = ours.median / theirs.median
        return f"{_floor(ratio * 100) / 100:.2f} x" if ratio < 10 else f"{_floor(ratio):,} x"

    def reached(self, ours: Series, theirs: Series) -> bool:
        """Whether it is enough."""
        return ours.median / theirs.median >= self.ratio


@dataclass(frozen=True)
class AtMostLonger:
    """At most so many seconds longer than the other."""

    seconds: float

    @property
    def wanted(self) -> str:
        """In words."""
        return f"≤ + {self.seconds:g} s"

    def found(self, ours: Series, theirs: Series) -> str:
        """The difference of the medians."""
        difference = ours.median - theirs.median
        return f"{'+' if difference >= 0 else '-'} {abs(difference):.2f} s"

    def reached(self, ours: Series, theirs: Series) -> bool:
        """Whether it is enough."""
        return ours.median - theirs.median <= self.seconds


@dataclass(frozen=True)
class AtMost:
    """At most so many times the other's seconds."""

    ratio: float

    @property
    def wanted(self) -> str:
        """In words."""
        return f"≤ {self.ratio:g} x"

    def found(self, ours: Series, theirs: Series) -> str:
        """The ratio of the medians, rounded up."""
        return f"{-_floor(-ours.median / theirs.median * 1000) / 1000:.3f} x"

    def reached(self, ours: Series, theirs: Series) -> bool:
        """Whether it is enough."""
        return ours.median / theirs.median <= self.ratio


@dataclass(frozen=True)
class Under:
    """Less than so much, whatever the other has."""

    limit: float
    unit: str = "s"

    @property
    def wanted(self) -> str:
        """In words."""
        return f"< {self.limit:g} {self.unit}"

    def found(self, ours: Series, theirs: Series) -> str:
        """Our median."""
        return f"{ours.median:.2f} {self.unit}"

    def reached(self, ours: Series, theirs: Series) -> bool:
        """Whether it is enough."""
        return ours.median < self.limit


@dataclass(frozen=True)
class Comparison:
    """One line of the report.

    Attributes:
        what: What was measured.
        against: With what it is compared.
        ours: Our repeats, or None for what does not exist yet.
        theirs: The other's.
        limit: What is wanted.
        cpu: CPU seconds by kind of process of each repeat, by what was done.
        others: Part of the machine's CPUs that was in other use just before.
    """

    what: str
    against: str
    ours: Series | None
    theirs: Series
    limit: Limit
    cpu: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    others: float = 0.0

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`."""
        if self.ours is None:
            return NOT_THERE
        if self.others > MOST_OTHER_USE:
            return UNTOLD
        return REACHED if self.limit.reached(self.ours, self.theirs) else MISSED

    @property
    def verdict(self) -> str:
        """The outcome as the table has it."""
        if self.outcome == UNTOLD:
            return f"**{UNTOLD}**: {self.others:.0%} of the CPUs were in other use"
        return f"**{MISSED}**" if self.outcome == MISSED else self.outcome

    @property
    def cells(self) -> list[str]:
        """The columns of the table."""
        return [
            self.what,
            self.against,
            "-" if self.ours is None else str(self.ours),
            str(self.theirs),
            "-" if self.ours is None else self.limit.found(self.ours, self.theirs),
            self.limit.wanted,
            self.verdict,
        ]


def _floor(value: float) -> int:
    return math.floor(value + 1e-9)  # 0.29 * 100 is a little less than 29


_HEADER = ["what", "against", "ours", "theirs", "found", "wanted", ""]


def number(value: float) -> str:
    """Return a number with three digits or more."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *lines])


def comparisons_table(comparisons: Sequence[Comparison]) -> str:
    """Return all comparisons as a table in Markdown."""
    return table(_HEADER, [comparison.cells for comparison in comparisons])


def cpu_table(comparisons: Sequence[Comparison]) -> str:
    """Return the CPU seconds of the comparisons that have them, as medians, or nothing."""
    rows = [
        (f"{comparison.what}: {doing}", _medians(repeats))
        for comparison in comparisons
        for doing, repeats in comparison.cpu.items()
    ]
    if not rows:
        return ""
    kinds = list(dict.fromkeys(kind for _, medians in rows for kind in medians))
    lines = [[what, *(number(medians.get(kind, 0.0)) for kind in kinds)] for what, medians in rows]
    return table(["CPU seconds", *kinds], lines)


def _medians(repeats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    kinds = dict.fromkeys(kind for repeat in repeats for kind in repeat)
    return {kind: statistics.median(repeat.get(kind, 0.0) for repeat in repeats) for kind in kinds}


def page(comparisons: Sequence[Comparison], facts: Mapping[str, str]) -> str:
    """Return the page of results.

    Args:
        comparisons: What was measured.
        facts: When, where and with what.
    """
    counts = Counter(comparison.outcome for comparison in comparisons)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
    summary = f"Of {len(comparisons)} figures that are wanted: {summary}."
    parts = [
        "# Results\n\nWritten by `make bench`; do not edit. Each figure is the median of its "
        "repeats, with the least and\nthe greatest. The two sides of a line were measured in the "
        "same run. How each is measured is said at the\nbeginning of its file in this folder; "
        "`python -m benchmarks NAME` runs one. What bounds those that are\nnot reached: "
        "[BOUNDS.md](BOUNDS.md).",
        summary,
        comparisons_table(comparisons),
        table(["", ""], [[name, value] for name, value in facts.items()]),
    ]
    if cpu := cpu_table(comparisons):
        parts.append(
            "## Where CPU time goes\n\nWith other work on the machine, rates mean little, but the "
            "CPU seconds of this run hold.\n\n" + cpu
        )
    return "\n\n".join(parts) + "\n"
