"""Fewer collections of garbage while TensorFlow is imported.

Its import makes hundreds of thousands of objects that stay. With Python's own thresholds, looking
at them again and again takes a sixth of the import's time.
"""

from __future__ import annotations

import gc
from typing import Any

import wrapt

_RARE = (50_000, 20, 100)


def collect_rarely_until_imported(package: str = "tensorflow") -> None:
    """Let Python collect garbage rarely until a package is imported, and then as before.

    Thresholds that the program sets meanwhile stay.
    """
    usual = gc.get_threshold()
    gc.set_threshold(*_RARE)

    def imported(_: Any) -> None:
        if gc.get_threshold() == _RARE:
            gc.set_threshold(*usual)

    wrapt.when_imported(package)(imported)
