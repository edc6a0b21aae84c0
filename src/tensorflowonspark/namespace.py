"""`Namespace`: the arguments of a program, as it gets them from a `TFEstimator`.

This is unpickled on nodes, and needs neither Spark nor TensorFlow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tensorsparkml.errors import ConfigurationError


class Namespace:
    """Arguments as attributes. `in` and iteration are over their names.

    Args:
        d: A dict, an `argparse.Namespace` or a `Namespace`; or a list of arguments as in
            `sys.argv`, over which iteration goes then.

    Attributes:
        argv: The list, or None.

    Raises:
        ConfigurationError: It is anything else.
    """

    argv: list[Any] | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, d: Any) -> None:
        if isinstance(d, list):
            self.argv = d
        elif isinstance(d, dict):
            vars(self).update(d)
        elif isinstance(d, argparse.Namespace | Namespace):
            vars(self).update(vars(d))
        else:
            raise ConfigurationError(
                "the arguments of a program must be a dict, an argparse.Namespace, or a list as in "
                f"sys.argv, not {type(d).__qualname__}; for no arguments, pass {{}}"
            )

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self) if self.argv is None else self.argv)

    def __repr__(self) -> str:
        if self.argv is not None:
            return f"Namespace({self.argv!r})"
        return f"Namespace({', '.join(f'{key}={vars(self)[key]!r}' for key in sorted(vars(self)))})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return self.argv == other
        if isinstance(other, argparse.Namespace | Namespace):
            return vars(self) == vars(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the attributes can be set
