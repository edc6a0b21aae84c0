"""Checks of the arguments that users give to public functions, before anything begins.

A check gets an argument's name and value. It returns the value, possibly converted, or raises
`ConfigurationError`. Checks that only one part of the library needs are in that part.
"""

from __future__ import annotations

import inspect
import operator
import os
import reprlib
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from numbers import Real
from typing import Any, NoReturn, ParamSpec, TypeVar

from tensorsparkml.errors import ConfigurationError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Check = Callable[[str, Any], Any]

_MOST_INTEGER = 2**63 - 1  # that Arrow, NumPy and TensorFlow can hold

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120


def checked(
    **checks: Check,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Return a decorator for a function whose arguments are checked before it begins.

    Args:
        checks: The check of each argument, by its name. Default values are checked too.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        signature = inspect.signature(function)
        if unknown := checks.keys() - signature.parameters:
            raise TypeError(f"{function.__qualname__} has no arguments {sorted(unknown)}")

        @wraps(function)
        def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, check in checks.items():
                bound.arguments[name] = check(name, bound.arguments[name])
            return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def shown(value: Any) -> str:
    """Return a short description of a value for a message."""
    return _short.repr(value)


def refuse(name: str, wanted: str, value: Any) -> NoReturn:
    """Raise the error for a value that is not valid."""
    raise ConfigurationError(f"{name} must be {wanted}, not {shown(value)}")


def optional(check: Check) -> Check:
    """Return a check that also takes None."""
    return lambda name, value: None if value is None else check(name, value)


def integer(low: int) -> Check:
    """Return a check for integers of at least `low`, which become `int`, even those of NumPy."""

    def check(name: str, value: Any) -> int:
        try:
            number = low - 1 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = low - 1
        if not low <= number <= _MOST_INTEGER:
            refuse(name, f"an integer of at least {low} and below 2**63", value)
        return number

    return check


def seconds(name: str, value: Any) -> float:
    """Check a time to wait, which may be zero."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= threading.TIMEOUT_MAX:  # NaN is not
        most = f"{threading.TIMEOUT_MAX:.0f}"
        refuse(name, f"a number of seconds from 0 to {most}", value)
    return value if isinstance(value, int | float) else float(value)


def positive_seconds(name: str, value: Any) -> float:
    """Check a time that is not zero."""
    if not (found := seconds(name, value)):
        refuse(name, "a positive number of seconds", value)
    return found


def switch(name: str, value: Any) -> bool:
    """Check for True or False."""
    if not isinstance(value, bool):
        refuse(name, "True or False", value)
    return value


def choice(*choices: Any) -> Check:
    """Return a check for one of several strings and bools."""

    def check(name: str, value: Any) -> Any:
        # For Python, 1 is True.
        kind = next((kind for kind in (bool, str) if isinstance(value, kind)), None)
        if kind is None or not any(isinstance(each, kind) and value == each for each in choices):
            listed = [str(each) if isinstance(each, bool) else f'"{each}"' for each in choices]
            refuse(name, f"{', '.join(listed[:-1])} or {listed[-1]}", value)
        return value

    return check


def text(name: str, value: Any) -> str:
    """Check for a string that is not empty."""
    if not isinstance(value, str) or not value:
        refuse(name, "a non-empty string", value)
    return value


def text_or(check: Check) -> Check:
    """Return a check that also takes strings that are not empty."""
    return lambda name, value: value if isinstance(value, str) and value else check(name, value)


def function(name: str, value: Any) -> Any:
    """Check for a function or another callable."""
    if not callable(value):
        refuse(name, "a function", value)
    return value


def path(name: str, value: Any) -> str:
    """Check for a path or a URI, as a string or of `pathlib`, which becomes a string."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str) or not found or "\0" in found:
        refuse(name, "a path or a URI", value)
    return found


def as_list(value: Any) -> list[Any] | None:
    """Return the elements of an ordered collection as a list, or None for anything else."""
    if isinstance(value, str | bytes | Mapping | set | frozenset | type):
        return None
    try:
        return list(value)
    except TypeError:
        return None


def paths(name: str, value: Any) -> list[str]:
    """Check for a path or a URI, or several, which become a list."""
    many = [value] if (found := as_list(value)) is None else found
    if not many:
        refuse(name, "a path or a URI, or a list of them", value)
    return [path(name, each) for each in many]


def names(name: str, value: Any) -> list[str]:
    """Check for a list of different strings, which may be empty."""
    found = as_list(value)
    if found is None or not all(isinstance(each, str) for each in found):
        refuse(name, "a list of different names", value)
    if len(set(found)) < len(found):
        refuse(name, "a list of different names", value)
    return found


def name_or_names(name: str, value: Any) -> list[str]:
    """Check for a string, or a list of different ones, which may be empty."""
    return names(name, [value] if isinstance(value, str) else value)


def some_names(name: str, value: Any) -> list[str]:
    """Check for a list of different strings that is not empty."""
    if not (found := names(name, value)):
        refuse(name, "a non-empty list of different names", value)
    return found


def several(name: str, value: Any) -> list[Any]:
    """Check for a list, or what can become one."""
    if (found := as_list(value)) is None:
        refuse(name, "a list", value)
    return found


def named(check: Check) -> Check:
    """Return a check for a dict from names to values that another check accepts."""

    def check_all(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            refuse(name, "a dict", value)
        for key in value:
            if not isinstance(key, str):
                refuse(name, f"a dict with strings as keys (the key {shown(key)} is not)", value)
        return {key: check(f"{name}[{shown(key)}]", each) for key, each in value.items()}

    return check_all


def variables(name: str, value: Any) -> dict[str, str]:
    """Check for environment variables, by their names."""

    def one(name: str, value: Any) -> str:
        if not isinstance(value, str) or "\0" in value:
            refuse(name, "a string", value)
        return value

    found: dict[str, str] = named(one)(name, value)
    for key in found:
        if not key or "=" in key or "\0" in key:
            refuse(
                name,
                f"a dict of environment variables ({shown(key)} cannot be a variable's name)",
                value,
            )
    return found


def instance_of(packages: Sequence[str], wanted: str) -> Check:
    """Return a check for objects of classes from some packages, without importing these.

    Args:
        packages: Names of packages, one of which must contain the class or a base class of it.
        wanted: Description of valid values, for the message.
    """

    def check(name: str, value: Any) -> Any:
        homes = {base.__module__.partition(".")[0] for base in type(value).__mro__}
        if homes.isdisjoint(packages):
            refuse(name, wanted, value)
        return value

    return check
