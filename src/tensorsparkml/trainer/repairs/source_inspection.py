"""Inspects the source of installed libraries to decide whether they need a repair."""

from __future__ import annotations

import ast
import functools
import inspect
import logging
import textwrap
from collections.abc import Callable
from importlib import metadata
from types import ModuleType
from typing import Any

import wrapt

from tensorsparkml.errors import UnsupportedVersionError

__all__ = ["calls", "parse_function", "replace", "require_version", "unrecognised"]

logger = logging.getLogger(__name__)

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


def parse_function(module: ModuleType, name: str, parameters: list[str]) -> ast.AST:
    """Parses the source of a function that must be there with the expected parameters.

    Args:
        module: The module that defines it.
        name: Its name in the module, such as `Class.method`.
        parameters: The names of its parameters, in order.

    Raises:
        UnsupportedVersionError: It is missing, takes other parameters, or has no source.
    """
    try:
        function: Any = functools.reduce(getattr, name.split("."), module)
        found = list(inspect.signature(function).parameters)
        source = inspect.getsource(function)
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise unrecognised(module, name, f"cannot be examined: {error}") from error
    if found != parameters:
        raise unrecognised(module, name, f"takes the parameters {found}, not {parameters}")
    return ast.parse(textwrap.dedent(source))


def require_version(oldest: tuple[int, int]) -> None:
    """Refuses a Keras that is older.

    Raises:
        UnsupportedVersionError: It is older.
    """
    version = _version("keras")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < oldest:
        raise UnsupportedVersionError(
            f"Keras {version} gives other results on several nodes than on one; install Keras "
            f"{oldest[0]}.{oldest[1]} or newer on every executor, or use one node."
        )


def replace(module: ModuleType, name: str, wrapper: Wrapper) -> None:
    """Wrap a function or a method of a module, once, however often this is called.

    Args:
        module: The module.
        name: The name in it, such as `Class.method`.
        wrapper: Gets the wrapped function, the instance, and the arguments.
    """
    done: set[str] = vars(module).setdefault("_tensorsparkml_repaired", set())
    if name not in done:
        done.add(name)
        wrapt.wrap_function_wrapper(module, name, wrapper)
        logger.debug("repaired %s.%s", module.__name__, name)


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """Returns the calls, anywhere in the tree, of a function or a method of that name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name == getattr(node.func, "attr", getattr(node.func, "id", None))
    ]


def unrecognised(module: ModuleType, name: str, what: str) -> UnsupportedVersionError:
    """Returns the error for a module whose source is not as this library knows it."""
    package = module.__name__.partition(".")[0]
    return UnsupportedVersionError(
        f"This version of {package} is not supported for training on several nodes: "
        f"{module.__name__}.{name} {what} (version {_version(package)}). Install a release of "
        f"{package} that this version of TensorSparkML was tested with, or a newer TensorSparkML."
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
