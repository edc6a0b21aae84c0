"""Errors for what was internal to TensorFlowOnSpark, and has no equal here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorsparkml.errors import RemovedNameError


def removed(name: str, instead: str) -> RemovedNameError:
    """Return the error for a module, or a name of one.

    Args:
        name: Its name below `tensorflowonspark`.
        instead: What a program does now.
    """
    return RemovedNameError(
        f"tensorflowonspark.{name} was internal to TensorFlowOnSpark, and does not exist here. "
        f"{instead}"
    )


def removed_names(module: str, instead: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that some names are removed from.

    Args:
        module: The module's name, `tensorflowonspark.…`.
        instead: What a program does now, by the removed names.
    """

    def look_up(name: str) -> Any:
        if name in instead:
            raise removed(f"{module.partition('.')[2]}.{name}", instead[name])
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return look_up
