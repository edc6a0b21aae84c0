"""`.keras` files as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tensorsparkml.driver.spark.private_api import read_file
from tensorsparkml.program.keras_versions import keras_for

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class ArchivedModel:
    """What has a model as the content of a `.keras` file.

    Attributes:
        archive: The content.
    """

    archive: bytes


def load_archive(
    archive: bytes, *, custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Any:
    """Return the model in the content of a `.keras` file, in this process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(archive)
        keras = keras_for(str(path))
        with keras.saving.custom_object_scope(custom_objects or {}):
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
        DataError: The file cannot be read.
    """
    if isinstance(given, ArchivedModel):
        return given.archive
    return read_file(spark, given) if isinstance(given, str) else archive_of(given)
