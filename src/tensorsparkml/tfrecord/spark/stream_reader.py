"""Reads the files that come into a folder, each of them once."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.types import StructType

from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import DataError
from tensorsparkml.storage import filesystem_of, translated_errors
from tensorsparkml.tfrecord.source.files import files_of
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.spark.reader import FileReader

_SIZE = 9  # bytes of a file's digest, which are 12 characters


class TFRecordStreamReader(DataSourceStreamReader):
    """Reads new files.

    The offset, which Spark keeps in the checkpoint, has a digest of the path of each file that was
    read and is still there: the files of a batch are those that its end has, and its start has not.

    Args:
        schema: The columns.
        options: What the user asks for.

    Raises:
        DataError: There is no such folder.
    """

    def __init__(self, schema: StructType, options: Options) -> None:
        self._reader = FileReader(schema, options)
        self._options = options
        for uri in options.paths:
            filesystem, path = filesystem_of(uri)
            with translated_errors(f"look for {uri}"):
                there = filesystem.exists(path) or bool(filesystem.glob(path))
            if not there:
                raise DataError(f"there is no folder {uri}, from which a stream could read")
        self._reader.tasks(self._files())  # checks the types of the columns

    def initialOffset(self) -> dict[str, str]:
        """Return that nothing was read."""
        return {"files": ""}

    def getDefaultReadLimit(self) -> Any:
        """Return how many files a batch has at most; Spark asks for it from 4.2 on."""
        from pyspark.sql.streaming import datasource

        most = self._options.maxFilesPerTrigger
        return datasource.ReadMaxFiles(most) if most else datasource.ReadAllAvailable()

    def latestOffset(self, *begin: Any) -> dict[str, str]:
        """Return what will have been read after the next batch.

        Args:
            begin: The start of the batch and a limit, which Spark 4.1 does not give.
        """
        found = [_digest(file) for file in self._files()]
        if begin and (most := getattr(begin[1], "max_files", None)):
            seen = _digests(begin[0])
            new = [each for each in found if each not in seen][:most]
            found = [each for each in found if each in seen] + new
        return {"files": "".join(sorted(found))}

    def partitions(self, start: dict[str, str], end: dict[str, str]) -> list[InputPartition]:
        """Return what the tasks of a batch read.

        Raises:
            DataError: Files of the batch are not there any more.
        """
        if not (wanted := _digests(end) - _digests(start)):
            return []
        files = [file for file in self._files() if _digest(file) in wanted]
        if missing := len(wanted) - len(files):
            raise DataError(
                f"{missing} of {len(wanted)} files of a batch were removed from "
                f"{', '.join(self._options.paths)} before they were read; put them back, or start "
                "with a new checkpoint"
            )
        return self._reader.tasks(files)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read the rows of a task."""
        return self._reader.rows(partition)

    def _files(self) -> list[FoundFile]:
        return files_of(self._options, least=0)


def _digest(file: FoundFile) -> str:
    digest = hashlib.blake2b(file.path.encode(), digest_size=_SIZE).digest()
    return urlsafe_b64encode(digest).decode()


def _digests(offset: dict[str, str]) -> set[str]:
    text, size = offset["files"], len(urlsafe_b64encode(bytes(_SIZE)))
    return {text[place : place + size] for place in range(0, len(text), size)}
