"""Sending main and its arguments to other processes."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from tensorsparkml.errors import UnpicklableError


def pickle_main(main: Callable[..., Any], args: Any) -> bytes:
    """Pickle the main function with its arguments.

    A main from a module that is not installed, such as a file beside the notebook, is sent by
    value with what it uses of that module, because executors do not have the file.

    Raises:
        UnpicklableError: One of them cannot be pickled; the message names it and why.
    """
    if not callable(main):
        raise UnpicklableError(f"main must be a function main(args, ctx), not {main!r}")
    with _by_value(sys.modules.get(getattr(main, "__module__", None) or "")):
        for what, value in (("main", main), ("args", args)):
            try:
                cloudpickle.dumps(value)
            except Exception as error:  # objects raise whatever they like when they are pickled
                name = getattr(value, "__qualname__", type(value).__qualname__)
                raise UnpicklableError(
                    f"{what} ({name}) cannot be sent to the executors: {error}. It, or what it "
                    "uses from outside of itself, holds something that belongs to this process, "
                    "such as a SparkSession, a lock, an open file or a model; make that inside "
                    "main instead"
                ) from error
        return bytes(cloudpickle.dumps((main, args)))


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


@contextmanager
def _by_value(module: ModuleType | None) -> Iterator[None]:
    name = module.__name__ if module else ""
    if module is None or _installed(module) or name in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _installed(module: ModuleType) -> bool:
    """Whether a module belongs to Python or to an installed package, or to no file at all."""
    file = getattr(module, "__file__", None)
    if module.__name__ == "__main__" or file is None:
        return True
    paths = sysconfig.get_paths()
    homes = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(Path(file).is_relative_to(home) for home in homes)
