"""The Spark session that a call works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorsparkml.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def active_session() -> SparkSession:
    """Return the active Spark session.

    Raises:
        ConfigurationError: There is none.
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        raise ConfigurationError("there is no active SparkSession; pass spark=…")
    return session
