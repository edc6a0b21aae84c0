"""Nested dicts and tuples of arrays, tensors or what describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return nested dicts and plain tuples with the function applied to what they hold."""
    if isinstance(tree, dict):
        return {name: map_leaves(function, inner) for name, inner in tree.items()}
    if type(tree) is tuple:  # a named one is a leaf
        return tuple(map_leaves(function, inner) for inner in tree)
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """Return what nested dicts and plain tuples hold."""
    found: list[Any] = []
    map_leaves(found.append, tree)
    return found
