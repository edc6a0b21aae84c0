"""`.keras` files as bytes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tensorsparkml.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# TensorFlow and Spark are each used where they are at hand: Keras on the nodes and with models of
# the user's, Spark at the driver.


class ArchivedModel:
    """What has a model as the content of a `.keras` file.

    Attributes:
        archive: The content.
    """

    archive: bytes


def load_archive(archive: bytes, *, compile: bool = True) -> Any:
    """Return the model in the content of a `.keras` file, in this process."""
    import keras

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(archive)
        return keras.saving.load_model(path, compile=compile)


def archive_of(model: Any) -> bytes:
    """Return the content of the `.keras` file of a model in this process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def given_archive(spark: SparkSession, given: Any) -> bytes:
    """Return the content of the `.keras` file of what a user has given.

    Args:
        spark: The session.
        given: A Keras model, a `KerasModel`, or the path or URI of a `.keras` file.

    Raises:
        DataError: There is no such file.
    """
    if isinstance(given, ArchivedModel):
        return given.archive
    return read_file(spark, given) if isinstance(given, str) else archive_of(given)


def read_file(spark: SparkSession, path: str) -> bytes:
    """Return the content of a file on any filesystem that Spark knows.

    Raises:
        DataError: There is no such file.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, PySparkException

    try:
        row = spark.read.format("binaryFile").load(path).select("content").first()
    except AnalysisException as error:
        raise DataError(f"there is no file {path}: {error.getCondition()}") from error
    except (PySparkException, Py4JError) as error:  # the second where a task has failed
        reason = [line for line in str(error).splitlines() if "Exception: " in line] or [str(error)]
        raise DataError(f"cannot read {path}: {reason[-1].strip()}") from error
    if row is None:
        raise DataError(f"there is no file {path}")
    return bytes(row.content)
