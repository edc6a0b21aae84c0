"""Infers the schema of TFRecord files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tensorsparkml.data.files.framing import Damage, Records
from tensorsparkml.data.files.listing import FoundFile
from tensorsparkml.errors import DataError
from tensorsparkml.tfrecord.codec.features import Kind
from tensorsparkml.tfrecord.codec.survey import Seen, survey
from tensorsparkml.tfrecord.codec.wire import View
from tensorsparkml.tfrecord.schema.summary import FeatureSummary, merged
from tensorsparkml.tfrecord.source.options import Mode, Options, RecordType
from tensorsparkml.tfrecord.source.reading import WRONG_CHECKSUM, Part, malformed, read_records
from tensorsparkml.tfrecord.source.splits import Split

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType

_log = logging.getLogger(__name__)

BYTES_COLUMN = "byteArray"


def infer_schema(files: Sequence[FoundFile], options: Options) -> StructType:
    """Return the columns that the records of files have, sorted by name.

    Args:
        files: The files.
        options: What the user asks for: which files are looked at, and how.

    Raises:
        DataError: Records cannot be read, or have different kinds of values for a feature.
    """
    from pyspark.sql.types import BinaryType, StructField, StructType

    if options.recordType is RecordType.BYTE_ARRAY:
        return StructType([StructField(BYTES_COLUMN, BinaryType())])
    found: Mapping[str, FeatureSummary] = {}
    has_malformed = False
    for file in sampled(files, options):
        for summary in _summaries(file, options):
            has_malformed |= summary is None
            found = merged(found, summary or {})
    if not found:
        raise DataError(
            f"there is no record with a feature in {', '.join(options.paths)}; give a schema"
        )
    fields = [
        StructField(name, _type(name, feature, options)) for name, feature in sorted(found.items())
    ]
    if has_malformed and options.mode is Mode.PERMISSIVE:
        fields.append(StructField(options.columnNameOfCorruptRecord, BinaryType()))
    return StructType(fields)


def sampled(files: Sequence[FoundFile], options: Options) -> list[FoundFile]:
    """Return the files that are looked at: some of all, at equal distances, and at least one."""
    count = max(1, round(len(files) * options.samplingRatio))
    total = sum(file.size for file in files)
    if total > options.inferBytes:
        count = max(1, min(count, len(files) * options.inferBytes // total))
        _log.info(
            "the schema is inferred from %d of %d files, as all have %d bytes and inferBytes is %d",
            count,
            len(files),
            total,
            options.inferBytes,
        )
    return [files[place * len(files) // count] for place in range(count)]


def _summaries(file: FoundFile, options: Options) -> Iterator[dict[str, FeatureSummary] | None]:
    """Yield what the records of a file have, and None if some cannot be read."""
    sequences = options.recordType is RecordType.SEQUENCE_EXAMPLE
    part = Part(file, Split(0, 0, None), {})
    left = options.inferBytes
    for records in read_records(part, options):
        if isinstance(records, Damage):
            if options.mode is Mode.FAIL_FAST:
                raise malformed(part, records.offset, records.reason)
            yield None
            continue
        good = _without_wrong(records)
        found = survey(View(good.data), good.start, good.end, sequences=sequences)
        errors = {good.offset_of(row): reason for row, reason in found.errors.items()}
        errors |= {records.offset_of(row): WRONG_CHECKSUM for row in records.wrong}
        if errors:
            if options.mode is Mode.FAIL_FAST:
                raise malformed(part, *min(errors.items()))
            yield None
        for seen, steps in ((found.features, False), (found.steps, True)):
            yield {name: _summary(name, each, steps, file, good) for name, each in seen.items()}
        left -= int(records.end[-1] - records.start[0])
        if left <= 0:
            return


def _without_wrong(records: Records) -> Records:
    if not records.wrong:
        return records
    kept = [row for row in range(len(records.start)) if row not in records.wrong]
    return Records(records.data, records.start[kept], records.end[kept], records.offset)


def _summary(
    name: str, seen: Seen, steps: bool, file: FoundFile, records: Records
) -> FeatureSummary:
    found = FeatureSummary(None, steps=steps, where=file.path)
    for kind, row in seen.kinds.items():
        where = f"{file.path} at byte {records.offset_of(row):,}"
        other = FeatureSummary(kind, seen.several, seen.text, steps, where)
        found = merged({name: found}, {name: other})[name]
    return found


def _type(name: str, feature: FeatureSummary, options: Options) -> DataType:
    from pyspark.sql import types

    if feature.kind is None:
        _log.warning("the feature %r has no values in any record; its column is void", name)
        return types.NullType()
    found: types.DataType
    if feature.kind is Kind.INT64:
        found = types.LongType()
    elif feature.kind is Kind.FLOAT:
        found = types.FloatType()
    elif feature.text and options.inferStrings and name not in options.binaryColumns:
        found = types.StringType()
    else:
        found = types.BinaryType()
    for _ in range(2 if feature.steps else feature.several):
        found = types.ArrayType(found, containsNull=False)
    return found
