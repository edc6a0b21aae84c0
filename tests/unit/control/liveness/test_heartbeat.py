"""The silence of another process, with invented times."""

from __future__ import annotations

from tensorsparkml.control.liveness.heartbeat import Heartbeat, Look, News

TIMEOUT = 30.0


def look(heartbeat: Heartbeat, begin: float, end: float) -> list[Look]:
    """Look twice a second, and return the looks that told something."""
    looks = [heartbeat.look(begin + half / 2) for half in range(round(2 * (end - begin)) + 1)]
    return [found for found in looks if found.news]


def test_silence_is_told_at_a_third_and_at_the_end_of_the_timeout() -> None:
    assert look(Heartbeat(TIMEOUT), 100.0, 300.0) == [
        Look(10.0, News.SILENT),
        Look(30.5, News.LOST),
    ]


def test_what_is_heard_is_not_silent() -> None:
    heartbeat = Heartbeat(TIMEOUT)
    for second in range(100, 200):
        heartbeat.heard(second)
        assert look(heartbeat, second, second + 0.5) == []


def test_the_end_of_a_silence_is_told_with_its_length() -> None:
    heartbeat = Heartbeat(TIMEOUT)
    look(heartbeat, 100.0, 115.0)
    heartbeat.heard(115.25)
    assert look(heartbeat, 115.5, 120.0) == [Look(15.25, News.HEARD)]
    assert look(heartbeat, 120.5, 126.0) == [Look(10.25, News.SILENT)]


def test_silence_is_counted_from_the_first_look() -> None:
    heartbeat = Heartbeat(TIMEOUT)
    heartbeat.heard(100.0)
    assert heartbeat.look(1000.0) == Look(0.0)


def test_silence_is_counted_anew_after_a_pause_of_ones_own() -> None:
    heartbeat = Heartbeat(TIMEOUT)
    look(heartbeat, 100.0, 105.0)
    assert look(heartbeat, 165.0, 174.5) == []
    assert look(heartbeat, 175.0, 196.0) == [Look(10.0, News.SILENT), Look(30.5, News.LOST)]
