"""What the benchmarks' report says of what was measured."""

from dataclasses import replace

import pytest
from benchmarks.report import (
    AtLeast,
    AtMost,
    AtMostLonger,
    Comparison,
    Series,
    Under,
    cpu_table,
    number,
    page,
)


def rates(*values):
    return Series("rows/s", values)


def seconds(*values):
    return Series("s", values)


def test_a_series_is_its_median_with_the_extremes():
    assert str(rates(300.0, 100.0, 12_345.6)) == "300 rows/s (100 - 12,346)"
    assert str(seconds(1.0, 2.0)) == "1.50 s (1.00 - 2.00)"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00"), (9.994, "9.99"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_numbers_have_three_digits_or_more(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("limit", "ours", "theirs", "reached", "found", "wanted"),
    [
        (AtLeast(0.75), rates(75), rates(100), True, "0.75 x", "≥ 0.75 x"),
        (AtLeast(0.75, aim=0.85), rates(74), rates(100), False, "0.74 x", "≥ 0.75 x, aim 0.85 x"),
        (AtLeast(30), rates(9000), rates(100), True, "90 x", "≥ 30 x"),
        (AtMostLonger(2), seconds(5.0), seconds(3.0), True, "+ 2.00 s", "≤ + 2 s"),
        (AtMostLonger(2), seconds(5.1), seconds(3.0), False, "+ 2.10 s", "≤ + 2 s"),
        (AtMostLonger(2), seconds(3.0), seconds(3.5), True, "- 0.50 s", "≤ + 2 s"),
        (AtMost(1.05), seconds(10.5), seconds(10.0), True, "1.050 x", "≤ 1.05 x"),
        (AtMost(1.05), seconds(10.501), seconds(10.0), False, "1.051 x", "≤ 1.05 x"),
        (Under(1), seconds(0.9), seconds(5.4), True, "0.90 s", "< 1 s"),
        (Under(1), seconds(1.0), seconds(5.4), False, "1.00 s", "< 1 s"),
    ],
)
def test_limits(limit, ours, theirs, reached, found, wanted):
    assert limit.reached(ours, theirs) is reached
    assert limit.found(ours, theirs) == found
    assert limit.wanted == wanted


def test_a_ratio_that_rounds_up_to_its_limit_does_not_look_reached():
    limit = AtLeast(0.75)
    assert limit.found(rates(0.7499), rates(1.0)) == "0.74 x"
    assert limit.found(rates(29.99), rates(1.0)) == "29 x"


def test_the_median_decides_not_the_best_repeat():
    assert not AtLeast(0.75).reached(rates(60, 70, 100), rates(100, 100, 100))


def compared(ours, limit):
    return Comparison("first pass", "counting", ours, rates(100), limit)


def test_verdicts():
    assert compared(rates(80), AtLeast(0.75)).verdict == "reached"
    assert compared(rates(70), AtLeast(0.75)).verdict == "**not reached**"
    assert compared(None, AtLeast(0.75)).verdict == "not there yet"


def test_a_figure_from_a_busy_machine_is_no_figure():
    busy = replace(compared(rates(80), AtLeast(0.75)), others=0.6)
    assert busy.verdict == "**not to be told**: 60% of the CPUs were in other use"
    assert replace(busy, others=0.1).verdict == "reached"


def test_the_page_says_how_many_figures_are_missed():
    found = [
        compared(rates(70), AtLeast(0.75)),
        compared(rates(80), AtLeast(0.75)),
        compared(None, AtLeast(0.9)),
        replace(compared(rates(80), AtLeast(0.75)), others=0.6),
    ]
    text = page(found, {"date": "2026-01-02"})
    assert (
        "Of 4 figures that are wanted: 1 reached, 1 not reached, 1 not to be told, 1 not there yet."
        in text
    )
    assert (
        "| first pass | counting | 70.0 rows/s (70.0 - 70.0) | 100 rows/s (100 - 100) "
        "| 0.70 x | ≥ 0.75 x | **not reached** |" in text
    )
    assert (
        "| first pass | counting | - | 100 rows/s (100 - 100) | - | ≥ 0.9 x | not there yet |"
        in text
    )
    assert "| date | 2026-01-02 |" in text
    assert "CPU seconds" not in text


def test_cpu_seconds_are_medians_and_absent_kinds_zero():
    cpu = {"feeding": [{"agents": 1.0}, {"agents": 3.0, "trainers": 2.0}, {"agents": 2.0}]}
    line = Comparison("first pass", "counting", rates(1), rates(1), AtLeast(1), cpu)
    assert cpu_table([line]).splitlines() == [
        "| CPU seconds | agents | trainers |",
        "| --- | --- | --- |",
        "| first pass: feeding | 2.00 | 0.00 |",
    ]
    assert cpu_table([compared(rates(1), AtLeast(1))]) == ""
