"""Names that become files and folders on the nodes, checked before they do.

They arrive over the network, so a path is made of one only after a check here.
"""

from __future__ import annotations

import re
from typing import Any

from tensorsparkml.checks import names, shown
from tensorsparkml.errors import ConfigurationError

# Beside the feeds' folders in a spool: that of files which a program has copied from far away.
COPIES = "copies"

_NAME = re.compile(r"\w[\w .-]*")
_DELIVERY = re.compile(r"(.*)@\d+")
_LONGEST_BYTES = 200  # of the 255 that file systems allow


def is_feed_name(name: object) -> bool:
    """Whether users may give a feed this name."""
    return _is_name(name) and name != COPIES


def feed_name(name: str, value: Any) -> str:
    """Check the name that a user gives to a feed, and return it; see `checks`."""
    if not is_feed_name(value):
        raise ConfigurationError(
            f"{name}={shown(value)} cannot be the name of a feed: use letters, digits, '_', '-', "
            f"'.' and spaces, begin with a letter or a digit, and use at most {_LONGEST_BYTES} "
            f"bytes; {COPIES!r} is reserved"
        )
    return str(value)


def feed_names(name: str, value: Any) -> list[str]:
    """Check for names that a user may give to feeds, and return them; see `checks`."""
    return [feed_name(f"a name in {name}", each) for each in names(name, value)]


def check_feed(name: str) -> str:
    """Return the name of a feed or of one of its deliveries, such as `train` or `train@1`.

    Raises:
        ValueError: It cannot be one.
    """
    delivery = _DELIVERY.fullmatch(name)
    if not is_feed_name(delivery[1] if delivery else name):
        raise ValueError(f"{name!r} cannot be the name of a feed")
    return name


def check_segment(name: str) -> str:
    """Return the name of a segment, such as `3.0-17`.

    Raises:
        ValueError: It cannot be one.
    """
    if not _is_name(name):
        raise ValueError(f"{name!r} cannot be the name of a segment")
    return name


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and len(name.encode()) <= _LONGEST_BYTES
    )
