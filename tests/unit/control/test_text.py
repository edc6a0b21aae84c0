"""Text of users' programs in errors and logs."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tensorsparkml.control.protocol.codec import decode_fields
from tensorsparkml.control.protocol.failures import Failure, from_exception, to_error
from tensorsparkml.control.text import counted, printable, shorten


def test_short_text_stays_as_it_is() -> None:
    assert shorten("all rows", 8) == "all rows"


def test_the_middle_of_long_text_is_left_out_and_counted() -> None:
    text = "begin " + "ü" * 1000 + " end"
    found = shorten(text, 20)
    assert found.startswith("begin üüüü … ")
    assert found.endswith(" … üüüüüü end")
    kept = found.replace(" … 1,980 bytes left out … ", "")
    assert len(kept) == 20
    assert len(text.encode()) - len(kept.encode()) == 1980


def test_an_exception_of_any_size_becomes_an_error_that_can_be_read() -> None:
    try:
        raise ValueError("x" * 50_000_000)
    except ValueError as error:
        failure = from_exception(error, kind="MainError", message=f"main raised {error}")
    travelled = decode_fields(Failure, asdict(failure))
    text = str(to_error(travelled, []))
    assert len(text) < 100_000
    assert "bytes left out" in text
    assert "test_text.py" in text  # the traceback's lines are there


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_counts_are_in_the_singular_for_one(number: int, text: str) -> None:
    assert counted(number, "row") == text


def test_control_characters_are_escaped_and_styles_left_out() -> None:
    assert printable("\x1b[1m3/3\x1b[0m \x1b[32m━━\x1b[0m loss: 0.1") == "3/3 ━━ loss: 0.1"
    assert printable("bell \x07, escape \x1b]0;title, null \0, \x9b") == (
        r"bell \x07, escape \x1b]0;title, null \x00, \x9b"
    )
    assert printable("a\tb ü 日本") == "a\tb ü 日本"
