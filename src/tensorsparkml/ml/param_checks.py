"""Checks of the values of params; see `tensorsparkml.checks`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from numbers import Real
from typing import Any

from tensorsparkml.checks import as_list, function, named, path, refuse, several, shown, text
from tensorsparkml.config import check_names, make_config
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.ml.keras_files import ArchivedModel

_KERAS = ("keras", "tf_keras")  # 3 and 2
_NOT_FOR_KERAS = (
    "num_ps",
    "between_graph",
    "main_on_ps",
    "evaluator",
    "driver_ps_nodes",
)


def is_keras_model(value: Any) -> bool:
    """Return whether a value is a Keras model, without importing Keras."""
    packages = [sys.modules[name] for name in _KERAS if name in sys.modules]
    return any(isinstance(value, each.Model) for each in packages)


def is_function(value: Any) -> bool:
    """Return whether a value is a function; Keras models can be called, too."""
    return callable(value) and not is_keras_model(value)


def model(name: str, value: Any, functions: bool = True) -> Any:
    """Check for a Keras model, the path of a `.keras` file, a `KerasModel`, or a function."""
    if is_keras_model(value) or (not functions and isinstance(value, ArchivedModel)):
        return value
    if functions and callable(value):
        return function(name, value)
    kinds = ["a Keras model", "the path of a .keras file"]
    kinds.insert(0, "a function that returns a Keras model" if functions else "a KerasModel")
    if not isinstance(value, str | os.PathLike) or not str(value).endswith(".keras"):
        refuse(name, f"{', '.join(kinds[:-1])} or {kinds[-1]}", value)
    return path(name, value)


def input_columns(name: str, value: Any) -> dict[str, Any]:
    """Check for a dict from names of inputs to columns, or to lists of columns."""

    def one(name: str, value: Any) -> str | list[str]:
        return text(name, value) if as_list(value) is None else [text(name, e) for e in value]

    return _not_empty(name, named(one)(name, value))


def column_names(name: str, value: Any) -> dict[str, str]:
    """Check for a dict from names of outputs to names of columns."""
    return _not_empty(name, named(text)(name, value))


def _not_empty(name: str, value: dict[str, Any]) -> dict[str, Any]:
    if not value:
        refuse(name, "a dict with at least one column", value)
    return value


def classes(name: str, value: Any) -> list[Any]:
    """Check for the values of a label: different strings, numbers or booleans, at least two."""
    found = several(name, value)
    if not all(isinstance(each, str | bool | int | float) for each in found):
        refuse(name, "a list of strings, numbers or booleans", value)
    if len(found) < 2 or len(set(found)) < len(found) or len(set(map(type, found))) > 1:
        refuse(name, "a list of at least two different values of one type", value)
    return found


def weights_of_classes(name: str, value: Any) -> dict[Any, float]:
    """Check for a dict from values of a label to weights, which are not negative."""
    if not isinstance(value, Mapping) or not value:
        refuse(name, "a dict from values of the label to weights", value)
    for label, weight in value.items():
        if not _is_number(weight) or not 0 <= weight < math.inf:
            refuse(f"{name}[{shown(label)}]", "a number that is not negative", weight)
    return {label: float(weight) for label, weight in value.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def fraction(name: str, value: Any) -> float:
    """Check for a number between 0 and 1, without both."""
    if not _is_number(value) or not 0 < value < 1:
        refuse(name, "a number between 0 and 1", value)
    return float(value)


def is_data_frame(value: Any) -> bool:
    """Return whether a value is a DataFrame."""
    from pyspark.sql import DataFrame

    return isinstance(value, DataFrame)


def data_frame(name: str, value: Any) -> Any:
    """Check for a DataFrame that is not a stream."""
    if not is_data_frame(value) or value.isStreaming:
        refuse(name, "a DataFrame that is not a stream", value)
    return value


def identifier(name: str, value: Any) -> Any:
    """Check for what Keras's `get` functions take; Keras's own objects become JSON."""
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, Mapping):
        return dict(value)
    package = type(value).__module__.partition(".")[0]
    if package in _KERAS and hasattr(value, "get_config"):
        found: dict[str, Any] = sys.modules[package].saving.serialize_keras_object(value)
        return found
    return function(name, value)


def identifiers(name: str, value: Any) -> list[Any]:
    """Check for a list of what `identifier` takes."""
    return [identifier(f"an element of {name}", each) for each in several(name, value)]


def callbacks(name: str, value: Any) -> Any:
    """Check for a list of callbacks, or a function that makes them."""
    if as_list(value) is None:
        return function(name, value)
    found = several(name, value)
    for each in found:
        if not hasattr(each, "on_epoch_end"):
            refuse(f"an element of {name}", "a Keras callback", each)
    return found


def cluster_settings(name: str, value: Any) -> dict[str, Any]:
    """Check for fields of `ClusterConfig` that are left to the user."""
    found: dict[str, Any] = named(lambda _, each: each)(name, value)
    if "num_workers" in found:
        raise ConfigurationError(f"{name} has 'num_workers'; set the param numWorkers instead")
    check_names(found)
    return found


def cluster_settings_for_keras(name: str, value: Any) -> dict[str, Any]:
    """Check for fields of `ClusterConfig` that are left to the user of a `KerasEstimator`."""
    found = cluster_settings(name, value)
    for key in _NOT_FOR_KERAS:
        if found.get(key):
            raise ConfigurationError(
                f"{name} has {key!r}, but KerasEstimator trains on workers alone; use TFEstimator, "
                "with a main function of your own"
            )
    make_config(found)  # type: ignore[arg-type]  # checks the fields
    return found
