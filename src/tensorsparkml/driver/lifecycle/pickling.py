"""Sending main and its arguments to other processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tensorsparkml.checks import refuse
from tensorsparkml.control.protocol.results import decode_result
from tensorsparkml.errors import UnpicklableError
from tensorsparkml.program.naming import function_name
from tensorsparkml.program.pickling import by_value, dumps


@dataclass(frozen=True)
class PickledFunction:
    """A main function that is already pickled, for several clusters.

    Attributes:
        function: The function.
        data: Its pickle.
    """

    function: Callable[..., Any]
    data: bytes

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self.function(*args)


def main_function(name: str, value: Any) -> Any:
    """Check for a function; see `checks`."""
    if not callable(value):
        refuse(name, "a function main(args, ctx)", value)
    return value


def pickle_function(main: Callable[..., Any]) -> PickledFunction:
    """Pickle a main function.

    If main is in a module that is not installed, such as a file beside the notebook, it is sent by
    value, with everything that it uses of that module, because executors do not have the file. The
    source text is sent with it.

    Raises:
        UnpicklableError: The function cannot be pickled; the message says why.
    """
    name = function_name(main)
    with by_value(main):
        return PickledFunction(main, _dumps(name, main, inside=name))


def pickle_main(main: Callable[..., Any], args: Any) -> bytes:
    """Pickle the main function with its arguments, for `program.pickling.load_main`.

    Raises:
        UnpicklableError: One of them cannot be pickled; the message names it and why.
    """
    program = main if isinstance(main, PickledFunction) else pickle_function(main)
    name = function_name(program.function)
    what = f"args ({type(args).__qualname__})"
    with by_value(program.function):
        return pickle.dumps((program.data, _dumps(what, args, inside=name)))


def _dumps(what: str, value: Any, inside: str) -> bytes:
    try:
        return dumps(value)
    except Exception as error:  # objects raise whatever they like when they are pickled
        raise UnpicklableError(
            f"{what} cannot be sent to the executors: {error}. It, or an object that it uses, "
            "belongs to this process, such as a SparkSession, a lock, an open file or a model; "
            f"create such objects inside {inside}"
        ) from error


def unpickle_results(results: Mapping[str, bytes | None]) -> list[Any]:
    """Return the results of main, unpickled.

    Args:
        results: The pickled results, by name of the node.

    Raises:
        UnpicklableError: A result needs something that this process does not have.
    """
    found = []
    for node, result in results.items():
        try:
            found.append(None if result is None else decode_result(result))
        except Exception as error:  # unpickling imports modules, which may raise anything
            raise UnpicklableError(
                f"the result cannot be loaded on the driver: {error}; return plain values",
                node=node,
            ) from error
    return found
