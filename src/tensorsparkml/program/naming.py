"""What messages call a program."""

from __future__ import annotations

from functools import partial
from typing import Any

_NAMELESS = "main"  # as the documentation calls it


def function_name(function: Any) -> str:
    """Return the name of a program's function for messages, or `main` for a lambda.

    Args:
        function: A function, a callable object, or either in a `functools.partial`. An object
            without a `__name__` has its class's.
    """
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return name if isinstance(name, str) and name.isidentifier() else _NAMELESS
