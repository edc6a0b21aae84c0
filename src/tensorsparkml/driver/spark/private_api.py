"""The only module that uses Spark's private API, for what PySpark does not offer publicly.

Every function raises `UnsupportedVersionError` if the installed Spark lacks what it needs.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from tensorsparkml.errors import (
    ConfigurationError,
    DataError,
    TensorSparkMLError,
    UnsupportedVersionError,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import SparkContext
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType


def _context(spark: SparkSession) -> Any:
    # Spark Connect sessions raise here, in words that do not help the user.
    if type(spark).__module__.startswith("pyspark.sql.connect"):
        raise ConfigurationError(
            "this is a Spark Connect session, which is not supported yet; use a classic session "
            "(SparkSession.builder.master(...))"
        )
    return spark.sparkContext


def is_stopped(spark: SparkSession) -> bool:
    """Return whether a session's application has ended."""
    context = _context(spark)
    try:
        return context._jsc is None or bool(context._jsc.sc().isStopped())
    except Exception as error:  # Py4J raises its own classes for what Java lacks
        raise UnsupportedVersionError(
            f"cannot find out whether Spark {context.version} is stopped: {error}"
        ) from error


def task_slots(spark: SparkSession) -> int:
    """Return how many tasks the registered executors can run at the same time."""
    context = _context(spark)
    try:
        scala = context._jsc.sc()
        profile = scala.resourceProfileManager().defaultResourceProfile()
        return int(scala.maxNumConcurrentTasks(profile))
    except Exception as error:  # Py4J raises its own classes for what Java lacks
        raise UnsupportedVersionError(
            f"cannot read the number of task slots of Spark {context.version}: {error}"
        ) from error


def default_filesystem(spark: SparkSession) -> str:
    """Return Hadoop's default filesystem, such as `hdfs://nameservice` or `file:///`."""
    context = _context(spark)
    try:
        return str(context._jsc.hadoopConfiguration().get("fs.defaultFS", "file:///"))
    except Exception as error:  # as above
        raise UnsupportedVersionError(
            f"cannot read the Hadoop configuration of Spark {context.version}: {error}"
        ) from error


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return a schema as Arrow has it, with timestamps in UTC."""
    try:
        from pyspark.sql.pandas.types import to_arrow_schema

        names = inspect.signature(to_arrow_schema).parameters
        # https://github.com/apache/spark/blob/v4.1.0/python/pyspark/sql/pandas/types.py
        utc: dict[str, Any] = (
            {"timezone": "UTC"} if "timezone" in names else {"timestamp_utc": True}
        )
        return to_arrow_schema(schema, **utc)
    except (ImportError, TypeError) as error:
        import pyspark

        raise UnsupportedVersionError(
            f"cannot convert the schemas of PySpark {pyspark.__version__}: {error}"
        ) from error


def cancel_jobs(context: SparkContext, tag: str, reason: str) -> None:
    """Cancel the jobs with a tag. The exceptions of their actions contain the reason."""
    try:
        context._jsc.cancelJobsWithTag(tag, reason)
    except Exception as error:  # as above
        raise UnsupportedVersionError(
            f"cannot cancel jobs of Spark {context.version} by their tag: {error}"
        ) from error


def cancel_stage(context: SparkContext, stage: int, reason: str) -> None:
    """Cancel a stage. The exceptions of the actions that need it contain the reason."""
    try:
        context._jsc.sc().cancelStage(stage, reason)
    except Exception as error:  # as above
        raise UnsupportedVersionError(
            f"cannot cancel stages of Spark {context.version}: {error}"
        ) from error


def path_exists(spark: SparkSession, path: str) -> bool:
    """Return whether there is a file or a folder, on any filesystem that Spark knows.

    Raises:
        DataError: The filesystem cannot be reached.
    """
    with _file_errors("look for", path):
        filesystem, found = _hadoop_path(spark, path)
        return bool(filesystem.exists(found))


def write_file(spark: SparkSession, path: str, content: bytes) -> None:
    """Write a file on any filesystem that Spark knows, with the folders around it.

    Raises:
        DataError: It cannot be written.
    """
    with _file_errors("write", path):
        filesystem, found = _hadoop_path(spark, path)
        with closing(filesystem.create(found)) as stream:
            for begin in range(0, len(content), _AT_ONCE):
                stream.write(bytearray(content[begin : begin + _AT_ONCE]))


def read_file(spark: SparkSession, path: str) -> bytes:
    """Return the content of a file on any filesystem that Spark knows.

    Raises:
        DataError: It cannot be read.
    """
    with _file_errors("read", path):
        filesystem, found = _hadoop_path(spark, path)
        with closing(filesystem.open(found)) as stream:
            return b"".join(iter(lambda: bytes(stream.readNBytes(_AT_ONCE)), b""))


_AT_ONCE = 8 * 2**20  # bytes; Py4J sends each piece as text


@contextmanager
def _file_errors(doing: str, path: str) -> Iterator[None]:
    try:
        yield
    except TensorSparkMLError:
        raise
    except Exception as error:  # Py4J's own classes, with Java's exception in them
        reason = getattr(error, "java_exception", None) or error
        raise DataError(f"cannot {doing} {path}: {reason}") from error


def _hadoop_path(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return Hadoop's filesystem of a path, and the path there."""
    context = _context(spark)
    try:
        make, configuration = context._jvm.org.apache.hadoop.fs.Path, context._jsc
        found = make(path)
        return found.getFileSystem(configuration.hadoopConfiguration()), found
    except (AttributeError, TypeError) as error:
        raise UnsupportedVersionError(
            f"cannot reach the filesystems of Spark {context.version}: {error}"
        ) from error
