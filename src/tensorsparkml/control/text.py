"""Text for errors and logs: bounded, without control bytes, with counts in the right number."""

from __future__ import annotations

import re

# Colours and weights of terminals, as Keras prints them, say nothing in a log.
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160)) if code != 9}


def shorten(text: str, most: int) -> str:
    """Return text, without its middle if it is longer than that many characters.

    The end stays too: the last line of a traceback is the error.
    """
    if len(text) <= most:
        return text
    head, tail = text[: most // 2], text[-(most // 2) :]
    left_out = len(text.encode(errors="replace")) - len((head + tail).encode(errors="replace"))
    return f"{head} … {left_out:,} bytes left out … {tail}"


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as `1 node` or `2 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(line: str) -> str:
    """Return a line in which control characters other than tabs are escaped, and styles gone."""
    return _STYLE.sub("", line).translate(_CONTROL)
