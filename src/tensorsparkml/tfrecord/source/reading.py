"""The records of a part of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from tensorsparkml.data.files.compression import HEAD, Compression, compression_of, uncompressed
from tensorsparkml.data.files.framing import Damage, NestedRecordsError, RecordReader, Records
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import DataError
from tensorsparkml.storage import translated_errors
from tensorsparkml.tfrecord.source.options import Options
from tensorsparkml.tfrecord.source.splits import Split

WRONG_CHECKSUM = "the checksum of its data does not match"


@dataclass(frozen=True)
class Part:
    """A part of a file.

    Attributes:
        file: The file.
        split: The part.
        values: The columns that its folders make, as Arrow's values.
    """

    file: FoundFile
    split: Split
    values: Mapping[str, pa.Scalar]


def read_records(part: Part, options: Options) -> Iterator[Records | Damage]:
    """Yield the records of a part of a file, and what lies between them that is none.

    Raises:
        DataError: The file cannot be read.
    """
    file, begin, end = part.file, part.split.begin, part.split.end
    with translated_errors(f"read {file.path}"), file.filesystem.open(file.path, "rb") as raw:
        if (compression := options.compression) is None:
            compression = compression_of(file.path, raw.read(HEAD))
            raw.seek(0)
        if compression is not Compression.NONE:
            if begin:
                return  # whoever reads the beginning reads all of it
            end = None
        elif begin:
            raw.seek(begin)
        reader = RecordReader(uncompressed(raw, compression), begin, verify=options.verifyChecksums)
        more = begin == 0 or reader.find()
        try:
            while more:
                more = False
                for found in reader.read(end):
                    yield found
                    more = isinstance(found, Damage)
                more = more and reader.find()
        except NestedRecordsError as error:
            raise DataError(f"{file.path}: {error}") from None


def malformed(part: Part, offset: int, reason: str) -> DataError:
    """Return the error for a record, or for bytes that are none."""
    return DataError(
        f"{part.file.path} has a malformed record at byte {offset:,}: {reason}; set the option "
        "mode to DROPMALFORMED or PERMISSIVE to skip it"
    )
