"""The Spark session that a call works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorsparkml.driver.spark_internals import is_stopped
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def usable_session(given: SparkSession | None = None) -> SparkSession:
    """Return the session that the user gave, or the active or default one of this process.

    Raises:
        ConfigurationError: There is none, it is stopped, or it is something else.
    """
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    if given is None:
        try:
            return SparkSession.active()
        except PySparkRuntimeError:
            raise ConfigurationError(
                "there is no active SparkSession; make one with SparkSession.builder.getOrCreate()"
            ) from None
    if type(given).__name__ != SparkSession.__name__:  # Spark Connect has a class of its own
        raise ConfigurationError(f"spark must be a SparkSession, not {given!r}")
    if is_stopped(given):
        raise ConfigurationError(
            "this SparkSession is stopped; make another one with "
            "SparkSession.builder.getOrCreate(), and make the DataFrame with it"
        )
    return given
