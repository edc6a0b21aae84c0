"""Imports this library in a task of Spark, or says clearly that its Python lacks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tensorsparkml._version import __version__

_LACKS = re.compile(r"^ImportError: (.* cannot import tensorsparkml: .*)$", re.MULTILINE)


def remote_import(module: str) -> Callable[[], Any]:
    """Return a function that imports a module of this library.

    Functions of tasks that use it are sent to the executors by value, as it is, so that an executor
    without the library can report what is missing.

    Args:
        module: The module's full name.
    """
    version = __version__

    def import_there() -> Any:
        import importlib
        import os
        import sys

        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise ImportError(
                f"{sys.executable} on {os.uname().nodename} cannot import tensorsparkml: {error}; "
                f"install tensorsparkml=={version} there, or point PYSPARK_PYTHON at a Python "
                "that has it"
            ) from None

    return import_there


def failed_import(text: str) -> str | None:
    """Return what such a function has said, from Spark's text of the failure, or None."""
    found = _LACKS.search(text)
    return None if found is None else found.group(1)
