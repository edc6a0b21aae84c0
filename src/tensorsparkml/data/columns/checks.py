"""Checks of arguments that name columns, or say how they become tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorsparkml.checks import as_list, named, optional, refuse
from tensorsparkml.data.columns.options import Column, Matrix, Wanted


def column(name: str, value: Any) -> Wanted:
    """Check for the name of a column, or a matrix."""
    if not isinstance(value, str | Matrix):
        refuse(name, "the name of a column, or a tsm.Matrix", value)
    return value


def inputs(name: str, value: Any) -> Wanted | dict[str, Wanted]:
    """Check for a column, or a dict of them from the names of a model's inputs."""
    if isinstance(value, Mapping) and value:
        found: dict[str, Wanted] = named(column)(name, value)
        return found
    if not isinstance(value, str | Matrix):
        refuse(name, "the name of a column, a tsm.Matrix, or a dict from inputs to these", value)
    return value


def layout(name: str, value: Any) -> Any:
    """Check for a column, several, or a dict of them, as for `features`."""
    if several := as_list(value):
        return tuple(column(name, each) for each in several)
    return inputs(name, value)


def selection(name: str, value: Any) -> Any:
    """Check for names of columns, or a dict from other names to columns and matrices."""
    if not isinstance(value, Mapping) and not as_list(value):
        refuse(name, "a list of column names, or a dict from other names to columns", value)
    return layout(name, value)


def weight(name: str, value: Any) -> str | bool | None:
    """Check for the column of the rows' weights, or whether there are weights of 1."""
    if not isinstance(value, str | bool | None):
        refuse(name, "the name of a column, True or None", value)
    return value


def _conversion(name: str, value: Any) -> Column:
    if not isinstance(value, Column):
        refuse(name, "a tsm.Column, such as tsm.Column(shape=(28, 28, 1))", value)
    return value


# How columns become tensors, by their names.
conversions = optional(named(_conversion))
