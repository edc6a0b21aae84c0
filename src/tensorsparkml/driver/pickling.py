"""Sending main and its arguments to other processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cloudpickle

from tensorsparkml.errors import UnpicklableError


def pickle_main(main: Callable[..., Any], args: Any) -> bytes:
    """Pickle the main function with its arguments.

    Raises:
        UnpicklableError: One of them cannot be pickled; the message names it and why.
    """
    if not callable(main):
        raise UnpicklableError(f"main must be a function main(args, ctx), not {main!r}")
    for what, value in (("main", main), ("args", args)):
        try:
            cloudpickle.dumps(value)
        except Exception as error:  # objects raise whatever they like when they are pickled
            name = getattr(value, "__qualname__", type(value).__qualname__)
            raise UnpicklableError(
                f"{what} ({name}) cannot be sent to the executors: {error}. It, or what it uses "
                "from outside of itself, holds something that belongs to this process, such as a "
                "SparkSession, a lock, an open file or a model; make that inside main instead"
            ) from error
    return bytes(cloudpickle.dumps((main, args)))
