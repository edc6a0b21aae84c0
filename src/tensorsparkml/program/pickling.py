"""Pickling by value, with the source text of what is pickled."""

from __future__ import annotations

import io
import pickle
import sys
import sysconfig
from collections import ChainMap
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import cloudpickle

from tensorsparkml.errors import UnpicklableError
from tensorsparkml.program.source import SourceFile, find_source, unknown_name

__all__ = ["by_value", "dumps", "load_main", "pickled"]


_CLOUDPICKLES: MutableMapping[Any, Any] = cloudpickle.CloudPickler.dispatch_table


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    """A `CloudPickler` that sends the text of each source file once, with the code from it."""

    def __init__(self, file: io.BytesIO) -> None:
        self._sources: dict[SourceFile, SourceFile] = {}
        # Before `__init__`, which is when pickle looks at it.
        self.dispatch_table = ChainMap({CodeType: self._reduce_code}, _CLOUDPICKLES)
        super().__init__(file)

    def _reduce_code(self, code: CodeType) -> tuple[Any, ...]:
        # cloudpickle leaves out the file name in some releases, and keeps it in others.
        build, arguments, *_ = _CLOUDPICKLES[CodeType](code)
        source = self._source(code)
        name = source.name if source else unknown_name(code)
        return _build_code, (build, arguments, name, source)

    def _source(self, code: CodeType) -> SourceFile | None:
        """Return the same object for the same file, which pickle then writes once."""
        source = find_source(code)
        return None if source is None else self._sources.setdefault(source, source)


def _build_code(
    build: Callable[..., CodeType],
    arguments: tuple[Any, ...],
    file_name: str,
    _: SourceFile | None,
) -> CodeType:
    return build(*arguments).replace(co_filename=file_name)


def dumps(value: Any) -> bytes:
    """Pickle a value; what `cloudpickle` pickles by value keeps its source.

    Where it is unpickled, with `pickle.loads`, `inspect.getsource`, AutoGraph and tracebacks see
    the lines under their own file name, although the file is not there.

    Raises:
        Exception: Whatever the value raises when it is pickled.
    """
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def pickled(name: str, value: Any, functions: Sequence[Any]) -> bytes:
    """Pickle a value with functions of the user's in it, by value where executors lack them.

    Args:
        name: What it is, for a message.
        value: The value.
        functions: The functions and classes in it; None is left out.

    Raises:
        UnpicklableError: It cannot be pickled.
    """
    with ExitStack() as modules:
        for function in functions:
            modules.enter_context(by_value(function))
        try:
            return dumps(value)
        except Exception as error:  # whatever the user's objects raise
            raise UnpicklableError(f"{name} cannot be sent to executors: {error}") from error


def load_main(pickled: bytes) -> tuple[Callable[..., Any], Any]:
    """Return the main function and its arguments, which were pickled apart from each other.

    Raises:
        Exception: Whatever the modules raise that they need.
    """
    function, args = pickle.loads(pickled)
    return pickle.loads(function), pickle.loads(args)


@contextmanager
def by_value(function: Callable[..., Any]) -> Iterator[None]:
    """Pickle a function's own module by value if executors cannot import it.

    That is a module which is not installed, such as a file beside the notebook.

    Args:
        function: A function, a callable object, or either in a `functools.partial`.
    """
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__module__", None) or ""
    module = sys.modules.get(name)
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
