"""Source text of code: found where the code was written, and made known where it runs.

A function that is pickled by value runs on a host that does not have its file. There `inspect`,
`traceback`, `pdb` and TensorFlow's AutoGraph, which rewrites `if` and `while` over tensors from
their source, look for the text in `linecache`.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType

__all__ = ["MAX_FILE_BYTES", "SourceFile", "find_source", "is_unknown", "unknown_name"]

# Text of one file that is sent. A longer one is data rather than a program.
MAX_FILE_BYTES = 2 * 2**20
_STRING = "<string>"  # what Python calls the text of `python -c`, and what is given to `exec`
_COMMAND = "<command>"  # AutoGraph takes no code from a file called `<string>`
_UNKNOWN = "<no source: "


@dataclass(frozen=True)
class SourceFile:
    """The text of one file; unpickling it makes the text known to `linecache`.

    Attributes:
        name: File name as the code has it, such as `/home/me/train.py` or `<command>`.
        text: The whole text.
    """

    name: str
    text: str

    def __reduce__(self) -> tuple[object, ...]:
        return _register, (self.name, self.text)


def _register(name: str, text: str) -> SourceFile:
    # Without a modification time, `linecache` never looks for a newer text on disk.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return SourceFile(name, text)


def find_source(code: CodeType) -> SourceFile | None:
    """Return the file, notebook cell or command that code was compiled from.

    Returns:
        None where nobody knows its text, as for a string that was given to `exec`, and where that
        has more than `MAX_FILE_BYTES`.
    """
    name, text = code.co_filename, None
    if name == _STRING:
        name, text = _COMMAND, _command(code)
    else:
        with suppress(OSError, IndexError):
            text = "".join(inspect.findsource(code)[0])
    if text is None or len(text.encode()) > MAX_FILE_BYTES:
        return None
    return SourceFile(name, text)


def unknown_name(code: CodeType) -> str:
    """Return the file name for code whose source nobody knows.

    Under its own name, `linecache` could find the text of something else.
    """
    name = code.co_filename
    return name if is_unknown(name) else f"{_UNKNOWN}{name}>"


def is_unknown(file_name: str) -> bool:
    """Whether code of that file name came without its source."""
    return file_name.startswith(_UNKNOWN)


def _command(code: CodeType) -> str | None:
    """Return the text of `python -c` if the code is part of it."""
    if sys.argv[:1] != ["-c"] or "-c" not in sys.orig_argv[:-1]:
        return None
    text = sys.orig_argv[sys.orig_argv.index("-c") + 1]
    return text if code in _all_code(compile(text, _STRING, "exec", dont_inherit=True)) else None


def _all_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_code(constant)
