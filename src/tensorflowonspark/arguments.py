"""Values that are taken from the old API's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession


def session_of(sc: SparkContext) -> SparkSession:
    """Return the session of an application."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    return SparkSession(sc) if session is None or session.sparkContext is not sc else session


def gpus_of(tf_args: Any) -> int | None:
    """Return the `num_gpus` of a program's arguments, or None if they do not have it."""
    found = (
        tf_args.get("num_gpus")
        if isinstance(tf_args, Mapping)
        else getattr(tf_args, "num_gpus", None)
    )
    return None if found is None else int(found)
