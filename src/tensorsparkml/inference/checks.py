"""Checks of what users say about the inputs and outputs of a model; see `tensorsparkml.checks`."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from tensorsparkml.checks import Check, named, refuse
from tensorsparkml.data.columns.checks import conversions, layout
from tensorsparkml.inference.outputs import check_outputs


def data_frame(name: str, value: Any) -> Any:
    """Check for a DataFrame, which may be a stream."""
    from pyspark.sql import DataFrame

    if not isinstance(value, DataFrame):
        refuse(name, "a Spark DataFrame; make one with spark.createDataFrame(...)", value)
    return value


def features(name: str, value: Any) -> Any:
    """Check for a column, several, or a dict of them, or None."""
    return None if value is None else layout(name, value)


def outputs(name: str, value: Any) -> Any:
    """Check for outputs, or None for all."""
    check_outputs(name, value)
    return value


def padding(name: str, value: Any) -> Any:
    """Check for a value that fills up lists, or a dict of such values by columns, or None."""
    if isinstance(value, Mapping):
        return named(padding)(name, value)
    if not isinstance(value, Real | str | bytes | None):
        refuse(name, "a number, a bool, a str or bytes, or a dict of them", value)
    return value


def decoding(name: str, value: Any) -> Any:
    """Check for `"image"`, a function, or a dict of these by columns, or None."""
    if isinstance(value, Mapping):
        return named(decoding)(name, value)
    if value not in (None, "image") and not callable(value):
        refuse(name, '"image", a function of the bytes of a row, or a dict of these', value)
    return value


# Of the arguments that say how a model is applied, wherever it is.
OPTIONS: dict[str, Check] = {
    "outputs": outputs,
    "convert": conversions,
    "pad": padding,
    "decode": decoding,
}
