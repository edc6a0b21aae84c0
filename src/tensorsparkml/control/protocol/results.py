"""The result of main, as bytes for the driver.

Values that JSON expresses exactly travel as JSON, which runs nothing when it is read; all others
are pickled.
"""

from __future__ import annotations

import json
from typing import Any

import cloudpickle

_JSON = b"j"
_PICKLE = b"p"
_INTEGER_BITS = 64  # JSON has longer ones, but Python writes no number of thousands of digits


def encode_result(value: Any) -> bytes:
    """Return a value as bytes.

    Raises:
        Exception: It cannot be pickled; whatever its objects raise then.
    """
    if _is_plain(value):
        return _JSON + json.dumps(value).encode()
    return _PICKLE + bytes(cloudpickle.dumps(value))


def decode_result(data: bytes) -> Any:
    """Return the value that `encode_result` wrote, equal to it and of the same types.

    Raises:
        Exception: It was pickled, and what it needs is missing here.
    """
    body = data[1:]
    return json.loads(body) if data[:1] == _JSON else cloudpickle.loads(body)


def _is_plain(value: Any) -> bool:
    """Whether JSON brings a value back as it was: no tuples, no subclasses, no numbers as keys."""
    waiting, seen = [value], set()
    while waiting:
        found = waiting.pop()
        kind = type(found)
        if kind is list or kind is dict:
            if id(found) in seen:  # in two places, or inside of itself; pickles keep that
                return False
            seen.add(id(found))
            waiting.extend(found)
            if kind is dict:
                if any(type(key) is not str for key in found):
                    return False
                waiting.extend(found.values())
        elif kind is str:
            if not _is_text(found):
                return False
        elif kind is int:
            if found.bit_length() > _INTEGER_BITS:
                return False
        elif kind is not float and kind is not bool and found is not None:
            return False
    return True


def _is_text(value: str) -> bool:
    """Whether a string has no half of a surrogate pair; two halves would come back as one."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
