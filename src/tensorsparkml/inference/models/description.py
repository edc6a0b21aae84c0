"""What the driver finds out about a model before any task runs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tensorsparkml import errors
from tensorsparkml.control.protocol.pipe_frames import read_frame, write_frame
from tensorsparkml.errors import (
    DataError,
    MissingPackageError,
    TensorSparkMLError,
)
from tensorsparkml.inference.models.files import ModelFiles, list_files
from tensorsparkml.inference.models.saved_model_file import read_signatures
from tensorsparkml.inference.models.signature import Signature
from tensorsparkml.inference.models.source import Kind, ModelSource, kind_of
from tensorsparkml.storage import filesystem_of, translated_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MODULE = "tensorsparkml.inference.models.description"
_LAST_LINES = 20  # of what a process prints that ends without a word


def describe(asked: ModelSource) -> tuple[ModelSource, Signature]:
    """Return what kind of model there is, and what it takes and gives.

    A SavedModel's own file says it. For Keras's formats a short process loads the model, so that
    TensorFlow does not come into this one.

    Args:
        asked: The model, of unknown kind, or of the kind `WEIGHTS` where the user says so.

    Raises:
        ConfigurationError: There is no model, it has no such signature, or does not tell its
            inputs.
        DataError: It cannot be read.
        MissingPackageError: TensorFlow is needed, and is not installed here.
    """
    assert asked.path is not None
    files = list_files(asked.path)
    kind = kind_of(asked.path, files.names, has_builder=asked.kind is Kind.WEIGHTS)
    source = replace(asked, kind=kind)
    return source, _described(source, files)


def describe_in_task(spark: SparkSession, asked: ModelSource) -> tuple[ModelSource, Signature]:
    """Do the same as `describe` in a task of Spark, where this process may not see the files.

    Raises:
        TensorSparkMLError: As `describe` does.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            try:
                source, signature = describe(asked)
                found = {"kind": source.kind.name, **signature.to_json()}
            except TensorSparkMLError as error:
                found = {"error": type(error).__name__, "message": error.message}
            yield pa.record_batch({"found": [json.dumps(found)]})

    [row] = spark.range(1).mapInArrow(task, "found string").collect()
    found = _checked(json.loads(row.found))
    return replace(asked, kind=Kind[found["kind"]]), Signature.from_json(found)


@lru_cache(maxsize=32)
def _described(source: ModelSource, files: ModelFiles) -> Signature:
    return _of_saved_model(source) if source.kind is Kind.SAVED_MODEL else _of_keras(source)


def _of_saved_model(source: ModelSource) -> Signature:
    assert source.path is not None
    filesystem, path = filesystem_of(source.path)
    file = f"{path.rstrip('/')}/saved_model.pb"
    with translated_errors(f"read {source.path}"):
        content = filesystem.cat_file(file)
    try:
        signatures = read_signatures(content)
    except ValueError as error:
        raise DataError(
            f"{source.path}/saved_model.pb is not the file of a SavedModel with signatures: {error}"
        ) from error
    source.check_signature(signatures)
    return signatures[source.signature]


def _of_keras(source: ModelSource) -> Signature:
    for package in ("tensorflow", "keras"):
        if find_spec(package) is None:
            raise MissingPackageError(
                f"the driver needs {package} to find out what {source} takes and gives; install "
                "tensorsparkml[tensorflow] there, or write the model with keras.Model.export"
            )
    assert source.path is not None
    if source.path.endswith(".keras"):
        filesystem, path = filesystem_of(source.path)
        with translated_errors(f"read {source.path}"), filesystem.open(path) as file:
            is_archive = zipfile.is_zipfile(file)
        if not is_archive:
            raise DataError(
                f"{source.path} is not the file of a Keras model, or not all of it: it is no zip "
                "archive; write it again with model.save"
            )
    return Signature.from_json(_checked(_in_a_process(source)))


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    """Return what another process has found, or raise its error."""
    if "error" in found:
        raise (errors.by_name(found["error"]) or DataError)(found["message"])
    return found


def _in_a_process(source: ModelSource) -> dict[str, Any]:
    """Return what a process that loads the model says of it."""
    end, reply = os.pipe()
    with os.fdopen(end, "rb") as pipe, tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(reply)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[reply],
            )
        finally:
            os.close(reply)
        with process:
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(pickle.dumps(source))
            frame = read_frame(pipe)
        if frame is not None:
            found: dict[str, Any] = json.loads(frame)
            return found
        output.seek(0)
        raise DataError(
            f"the process that should describe {source} has ended with the exit status "
            f"{process.returncode}",
            log_tail=output.read().decode(errors="replace").splitlines()[-_LAST_LINES:],
        )


def _main(reply: int) -> None:
    from tensorsparkml.inference.models.loading import ModelCache

    source = pickle.load(sys.stdin.buffer)
    try:
        signature = ModelCache().get(source).signature
        assert signature is not None
        found = signature.to_json()
    except TensorSparkMLError as error:
        found = {"error": type(error).__name__, "message": error.message}
    with os.fdopen(reply, "wb") as pipe:
        write_frame(pipe, json.dumps(found).encode())


if __name__ == "__main__":
    _main(int(sys.argv[1]))
