"""Which Keras a class or a file is of: Keras 3, or Keras 2, which is the package tf_keras."""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tensorsparkml.errors import MissingPackageError

__all__ = ["is_of_keras_2", "keras_for", "package_of"]

_KERAS_2, _KERAS_3 = "tf_keras", "keras"


def is_of_keras_2(kind: type) -> bool:
    """Whether a class, such as that of a model, is one of Keras 2 or is derived from one."""
    return any(base.__module__.startswith(f"{_KERAS_2}.") for base in kind.__mro__)


def package_of(path: str) -> str:
    """Return the name of the package that reads the file of a model.

    Args:
        path: A local file. Only those named `.keras` tell that Keras 2 has written them.
    """
    if not zipfile.is_zipfile(path):
        return _KERAS_3
    with zipfile.ZipFile(path) as archive:
        if "metadata.json" not in archive.namelist():
            return _KERAS_3
        version = json.loads(archive.read("metadata.json")).get("keras_version", "")
    return _KERAS_2 if version.startswith("2.") else _KERAS_3


def keras_for(path: str) -> Any:
    """Return the Keras that reads the file of a model.

    Raises:
        MissingPackageError: This Python does not have it.
    """
    name = package_of(path)
    if find_spec(name) is None:
        raise MissingPackageError(
            f"the model is of {'Keras 2' if name == _KERAS_2 else 'Keras 3'}, but this Python has "
            f"no {name}; install it on the driver and on all executors"
        )
    return import_module(name)
