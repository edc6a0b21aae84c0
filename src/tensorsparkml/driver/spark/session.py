"""The Spark session that a call works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorsparkml.checks import refuse
from tensorsparkml.driver.spark.private_api import is_stopped
from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session(name: str, value: Any) -> Any:
    """Check for a SparkSession, or None; see `checks`."""
    # Spark Connect has a class of its own, of the same name.
    if value is not None and type(value).__name__ != "SparkSession":
        refuse(name, "a SparkSession", value)
    return value


def is_remote(spark: SparkSession) -> bool:
    """Return whether a session is one of Spark Connect."""
    return "connect" in type(spark).__module__.split(".")


def usable_session(given: SparkSession | None = None) -> SparkSession:
    """Return the session that the user gave, or the active or default one of this process.

    Raises:
        ConfigurationError: There is none, or it is stopped.
    """
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    if given is None:
        try:
            return SparkSession.active()
        except PySparkRuntimeError:
            raise ConfigurationError(
                "there is no active SparkSession; create one: SparkSession.builder.getOrCreate()"
            ) from None
    if is_stopped(given):
        raise ConfigurationError(
            "this SparkSession is stopped; create another one with "
            "SparkSession.builder.getOrCreate(), and create the DataFrame with it"
        )
    return given
