"""Sending main and its arguments to other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle

from tensorsparkml.errors import UnpicklableError
from tensorsparkml.program.pickling import by_value, dumps


def pickle_main(main: Callable[..., Any], args: Any) -> bytes:
    """Pickle the main function with its arguments.

    A main from a module that is not installed, such as a file beside the notebook, is sent by
    value with what it uses of that module, because executors do not have the file. The source text
    of what is sent by value goes with it.

    Raises:
        UnpicklableError: One of them cannot be pickled; the message names it and why.
    """
    if not callable(main):
        raise UnpicklableError(f"main must be a function main(args, ctx), not {main!r}")
    with by_value(main):
        for what, value in (("main", main), ("args", args)):
            try:
                dumps(value)
            except Exception as error:  # objects raise whatever they like when they are pickled
                name = getattr(value, "__qualname__", type(value).__qualname__)
                raise UnpicklableError(
                    f"{what} ({name}) cannot be sent to the executors: {error}. It, or what it "
                    "uses from outside of itself, holds something that belongs to this process, "
                    "such as a SparkSession, a lock, an open file or a model; make that inside "
                    "main instead"
                ) from error
        return dumps((main, args))


def unpickle_results(results: Mapping[str, bytes | None]) -> list[Any]:
    """Return what the mains returned, by name of the node.

    Raises:
        UnpicklableError: A result needs something that this process lacks.
    """
    found = []
    for node, result in results.items():
        try:
            found.append(None if result is None else cloudpickle.loads(result))
        except Exception as error:  # unpickling imports modules, which may raise anything
            raise UnpicklableError(
                f"what main returned cannot be loaded on the driver: {error}; return plain values",
                node=node,
            ) from error
    return found
