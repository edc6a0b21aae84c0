"""Writes record batches as TFRecord files: what a task does."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import pyarrow as pa

from tensorsparkml.data.columns.names import listed
from tensorsparkml.data.files.compression import Compression
from tensorsparkml.data.files.framing import frame_records
from tensorsparkml.errors import ConfigurationError, NullValueError
from tensorsparkml.storage import filesystem_of, translated_errors
from tensorsparkml.tfrecord.codec.encode import encode_records
from tensorsparkml.tfrecord.codec.features import FeatureColumn
from tensorsparkml.tfrecord.schema.conversions import feature_column, to_feature
from tensorsparkml.tfrecord.source.commit import WrittenFile
from tensorsparkml.tfrecord.source.options import Options, RecordType
from tensorsparkml.tfrecord.source.partitions import folders_of
from tensorsparkml.tfrecord.source.rows import check_byte_array

_SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZLIB: ".zlib"}
_MOST_BYTES = 64 * 2**20  # of rows that are encoded together
_MOST_OPEN = 100  # files of a task


class TaskWriter:
    """Writes the rows of a task.

    Args:
        schema: The columns.
        options: What the user asks for.
        staging: The hidden folder of the job.
        task: Number of the task's partition, which orders the files.
        attempt: What tells this attempt of the task from others.

    Raises:
        UnsupportedColumnError: No feature has values of a column's type.
        ConfigurationError: The schema does not fit the options.
    """

    def __init__(
        self, schema: pa.Schema, options: Options, staging: str, task: int, attempt: str
    ) -> None:
        self._options = options
        self._staging = staging
        self._task, self._attempt = task, attempt
        _check_partitions(schema, options.partitionBy)
        names = [name for name in schema.names if name not in options.partitionBy]
        self._fields = [schema.field(name) for name in names]
        self._columns: list[FeatureColumn] = []
        if options.recordType is RecordType.BYTE_ARRAY:
            check_byte_array(self._fields)
        else:
            sequences = options.recordType is RecordType.SEQUENCE_EXAMPLE
            self._columns = [feature_column(field, sequences=sequences) for field in self._fields]
        self._open: dict[str, _File] = {}
        self._written: list[WrittenFile] = []

    def write(self, batches: Iterable[pa.RecordBatch]) -> list[WrittenFile]:
        """Write all rows, and return the files.

        Raises:
            DataError: A file cannot be written.
            NullValueError: An array has a null in it.
        """
        with translated_errors(f"write to {self._staging}"):
            try:
                options = self._options
                for batch in (part for each in batches for part in _small(each)):
                    for folder, rows in folders_of(batch, options.partitionBy, options.timeZone):
                        self._write(folder, self._records(rows))
            finally:
                for file in self._open.values():
                    file.close()
        return self._written

    def _records(self, batch: pa.RecordBatch) -> list[bytes]:
        arrays = [batch.column(field.name) for field in self._fields]
        if self._options.recordType is RecordType.BYTE_ARRAY:
            [content] = arrays
            if content.null_count:
                raise NullValueError(
                    f"the column {self._fields[0].name!r} has a null, for which a record of raw "
                    "bytes has no place; leave the row out"
                )
            return cast("list[bytes]", content.cast(pa.binary()).to_pylist())
        features = [to_feature(*each) for each in zip(arrays, self._columns, strict=True)]
        sequences = self._options.recordType is RecordType.SEQUENCE_EXAMPLE
        return cast(
            "list[bytes]",
            encode_records(self._columns, features, sequences=sequences).to_pylist(),
        )

    def _write(self, folder: str, records: list[bytes]) -> None:
        most = self._options.maxRecordsPerFile
        while records:
            file = self._file(folder)
            room = most - file.count if most else len(records)
            file.write(records[:room])
            records = records[room:]
            if file.count == most:
                self._open.pop(folder).close()

    def _file(self, folder: str) -> _File:
        if (found := self._open.pop(folder, None)) is None:
            if len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            suffix = f".tfrecord{_SUFFIXES[self._compression]}"
            number = len(self._written)
            staged = f"{self._task:05}-{self._attempt}-{number:05}{suffix}"
            name = f"part-{self._task:05}-{self._attempt}-c{number:05}{suffix}"
            self._written.append(WrittenFile(staged, f"{folder}/{name}" if folder else name))
            found = _File(f"{self._staging}/{staged}", self._compression)
        self._open[folder] = found  # the one that was used last is at the end
        return found

    @property
    def _compression(self) -> Compression:
        return self._options.compression or Compression.NONE


def _check_partitions(schema: pa.Schema, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in schema.names:
            raise ConfigurationError(
                f"the rows have no column {name!r} to be partitioned by; they have "
                f"{listed(schema.names)}"
            )
        type_ = schema.field(name).type
        if pa.types.is_nested(type_) or pa.types.is_binary(type_) or pa.types.is_null(type_):
            raise ConfigurationError(
                f"the column {name!r} has the type {type_}, which gives no names of folders; "
                "partition by numbers, booleans, strings, dates or timestamps"
            )
    if columns and set(columns) >= set(schema.names):
        raise ConfigurationError(
            "partitionBy names all columns, so that nothing is left to be written into the files"
        )


def _small(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield parts of a batch, whose records must be small enough for 32-bit offsets together."""
    if batch.nbytes <= _MOST_BYTES or batch.num_rows < 2:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _small(batch.slice(0, half))
    yield from _small(batch.slice(half))


class _File:
    def __init__(self, uri: str, compression: Compression) -> None:
        filesystem, path = filesystem_of(uri)
        filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._raw: Any = filesystem.open(path, "wb")
        self._compressor: Any = None
        if compression is Compression.GZIP:  # the same rows have the same bytes: no name, no time
            self._compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        elif compression is Compression.ZLIB:
            self._compressor = zlib.compressobj()
        self.count = 0

    def write(self, records: Sequence[bytes]) -> None:
        data = frame_records(records)
        self._raw.write(self._compressor.compress(data) if self._compressor else data)
        self.count += len(records)

    def close(self) -> None:
        if self._compressor:
            self._raw.write(self._compressor.flush())
        self._raw.close()
