"""The format, with which Spark begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    DataSourceStreamWriter,
    DataSourceWriter,
)
from pyspark.sql.types import StructType

from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import ConfigurationError
from tensorsparkml.storage import absolute_path
from tensorsparkml.tfrecord.source.files import files_of, folder_fields
from tensorsparkml.tfrecord.source.inference import infer_schema
from tensorsparkml.tfrecord.source.options import Options, parse_options
from tensorsparkml.tfrecord.spark.reader import TFRecordReader
from tensorsparkml.tfrecord.spark.stream_reader import TFRecordStreamReader
from tensorsparkml.tfrecord.spark.stream_writer import TFRecordStreamWriter
from tensorsparkml.tfrecord.spark.writer import TFRecordWriter


class TFRecordDataSource(DataSource):
    """TFRecord files; see `tensorsparkml.tfrecord.register`."""

    default_fs: ClassVar[str] = "file:///"
    working_dir: ClassVar[str] = "/"
    defaults: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "tfrecord"

    def schema(self) -> StructType:
        """Infer the schema of the files."""
        options = self._options()
        return schema_of(files_of(options), options)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return a reader of rows of a schema."""
        return TFRecordReader(schema, self._options())

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """Return a writer of rows of a schema."""
        return TFRecordWriter(schema, self._options(), overwrite)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:
        """Return a reader of the files that come into a folder."""
        return TFRecordStreamReader(schema, self._options())

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:
        """Return a writer of a stream's batches."""
        return TFRecordStreamWriter(schema, self._options(), overwrite)

    def _options(self) -> Options:
        found = parse_options(self.options, self.defaults)
        paths = [absolute_path(path, self.default_fs, self.working_dir) for path in found.paths]
        return replace(found, paths=tuple(paths))


def schema_of(files: Sequence[FoundFile], options: Options) -> StructType:
    """Infer the columns of files: those of their records, and those that their folders make.

    Raises:
        ConfigurationError: Records and folders have a column of the same name.
        DataError: Records cannot be read, or have different kinds of values for a feature.
    """
    found = infer_schema(files, options)
    for field in folder_fields(files, options):
        if field.name in found.names:
            raise ConfigurationError(
                f"{field.name!r} is a feature, and the folders name it, too; give a schema, with "
                "which the column is that of the folders, or set recursiveFileLookup"
            )
        found = found.add(field)
    return found
