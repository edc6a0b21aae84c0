"""The options of the source. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tensorsparkml.data.files.compression import Compression
from tensorsparkml.errors import ConfigurationError

_MEGABYTE = 2**20


class RecordType(StrEnum):
    """What the records are."""

    EXAMPLE = "Example"
    SEQUENCE_EXAMPLE = "SequenceExample"
    BYTE_ARRAY = "ByteArray"


class Mode(StrEnum):
    """What becomes of records that cannot be read."""

    FAIL_FAST = "FAILFAST"
    DROP_MALFORMED = "DROPMALFORMED"
    PERMISSIVE = "PERMISSIVE"


@dataclass(frozen=True)
class Options:
    """What is asked of the source, by the names that users write.

    Attributes:
        paths: Where the files are.
        recordType: What the records are.
        compression: How files are compressed; None looks at each of them.
        mode: What becomes of records that cannot be read.
        columnNameOfCorruptRecord: The column that PERMISSIVE gives the bytes of such a record.
        verifyChecksums: Whether the checksums of the data are compared.
        recursiveFileLookup: Whether all folders below are searched, and none gives a column.
        basePath: The folder from which on the names of folders give columns; an empty string
            stands for what the paths name.
        pathGlobFilter: The pattern of the files' names, or an empty string.
        samplingRatio: The part of the files that the schema is inferred from.
        inferBytes: How many bytes of files are looked at for a schema at most.
        inferStrings: Whether features of bytes become strings if all of them are UTF-8.
        binaryColumns: Features of bytes that do not become strings.
        emptyLists: Whether a feature without values is `empty`, an empty array, or `null`.
        splitFiles: Whether several tasks may read a file.
        maxPartitionBytes: Bytes of files that a task reads.
        minPartitions: Number of tasks among which the files are divided, if they are large enough.
        partitionBy: The columns whose values name the folders of what is written.
        partitionOverwriteMode: Whether overwriting replaces all files (`static`), or those of the
            folders that are written (`dynamic`).
        maxRecordsPerFile: Records of a file at most; 0 is any number.
        maxFilesPerTrigger: Files of a stream's batch at most, from Spark 4.2 on; 0 is any number.
        timeZone: The zone of timestamps in the names of folders.
    """

    paths: tuple[str, ...]
    recordType: RecordType = RecordType.EXAMPLE
    compression: Compression | None = None
    mode: Mode = Mode.FAIL_FAST
    columnNameOfCorruptRecord: str = "_corrupt_record"
    verifyChecksums: bool = True
    recursiveFileLookup: bool = False
    basePath: str = ""
    pathGlobFilter: str = ""
    samplingRatio: float = 1.0
    inferBytes: int = 1024 * _MEGABYTE
    inferStrings: bool = True
    binaryColumns: tuple[str, ...] = ()
    emptyLists: str = "empty"
    splitFiles: bool = True
    maxPartitionBytes: int = 128 * _MEGABYTE
    minPartitions: int = 1
    partitionBy: tuple[str, ...] = ()
    partitionOverwriteMode: str = "static"
    maxRecordsPerFile: int = 0
    maxFilesPerTrigger: int = 0
    timeZone: tzinfo = UTC

    @property
    def replaces_partitions(self) -> bool:
        """Whether overwriting replaces the files of those partitions only that are written."""
        return self.partitionOverwriteMode == "dynamic" and bool(self.partitionBy)


_CODECS = {  # as Hadoop calls them
    "org.apache.hadoop.io.compress.gzipcodec": "gzip",
    "org.apache.hadoop.io.compress.defaultcodec": "zlib",
    "org.apache.hadoop.io.compress.deflatecodec": "zlib",
    "uncompressed": "none",
    "deflate": "zlib",
}
_ALIASES = {"codec": "compression"}  # of spark-tfrecord
_OF_SPARK = ("checkpointlocation", "asyncprogress")  # what options of streams begin with
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?")  # of a time zone
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}  # powers of 2


def parse_options(given: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> Options:
    """Return the options of a reader or a writer.

    Args:
        given: What the user has set, and `path` or `paths`. The case of names does not count.
        defaults: What counts where the user has set nothing.

    Raises:
        ConfigurationError: There is no such option, or a value does not fit.
    """
    found = {name.lower(): value for name, value in {**(defaults or {}), **given}.items()}
    for alias, name in _ALIASES.items():
        if alias in found:
            value = found.pop(alias)
            if found.setdefault(name, value) != value:
                raise ConfigurationError(f"the options {alias} and {name} differ; set one of them")
    paths = tuple(json.loads(found.pop("paths", "[]")))
    if (path := found.pop("path", None)) is not None:
        paths = (*paths, path)
    if not paths:
        raise ConfigurationError("no path is given; call load(path) or save(path)")
    names = {name.lower(): name for name in Options.__dataclass_fields__ if name != "paths"}
    values: dict[str, Any] = {}
    for key, value in found.items():
        if key.startswith(_OF_SPARK):
            continue
        if key not in names:
            raise ConfigurationError(
                f"there is no option {key!r}; there are {', '.join(sorted(names.values()))}"
            )
        values[names[key]] = _PARSERS[names[key]](names[key], value)
    return Options(paths, **values)


def _one_of(kind: type[StrEnum]) -> Callable[[str, str], StrEnum]:
    def parse(name: str, value: str) -> StrEnum:
        for each in kind:
            if value.lower() == each.lower():
                return each
        raise _refused(name, value, f"one of {', '.join(kind)}")

    return parse


def _compression(name: str, value: str) -> StrEnum:
    return _one_of(Compression)(name, _CODECS.get(value.lower(), value))


def _switch(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise _refused(name, value, "true or false")
    return value.lower() == "true"


def _text(name: str, value: str) -> str:
    return value


def _names(name: str, value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())


def _fraction(name: str, value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0.0 < found <= 1.0:
        raise _refused(name, value, "above 0, and 1 at most")
    return found


def _count(least: int) -> Callable[[str, str], int]:
    def parse(name: str, value: str) -> int:
        if not value.isdecimal() or int(value) < least:
            raise _refused(name, value, f"a number of at least {least}")
        return int(value)

    return parse


def _zone(name: str, value: str) -> tzinfo:
    if found := _OFFSET.fullmatch(value):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(-offset if found[1] == "-" else offset)
    try:
        return ZoneInfo(value)
    except (ValueError, ZoneInfoNotFoundError):
        raise _refused(name, value, "a time zone, such as Europe/Paris") from None


def _size(name: str, value: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([kmgtp]?)b?", value.strip().lower())
    if found is None or not int(found[1]):
        raise _refused(name, value, "a number of bytes, such as 128m")
    return int(found[1]) << _UNITS[found[2]]


def _word(*words: str) -> Callable[[str, str], str]:
    def parse(name: str, value: str) -> str:
        if value.lower() not in words:
            raise _refused(name, value, f"one of {', '.join(words)}")
        return value.lower()

    return parse


def _refused(name: str, value: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"the option {name} must be {wanted}, not {value!r}")


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "recordType": _one_of(RecordType),
    "compression": _compression,
    "mode": _one_of(Mode),
    "columnNameOfCorruptRecord": _text,
    "verifyChecksums": _switch,
    "recursiveFileLookup": _switch,
    "basePath": _text,
    "pathGlobFilter": _text,
    "samplingRatio": _fraction,
    "inferBytes": _size,
    "inferStrings": _switch,
    "binaryColumns": _names,
    "emptyLists": _word("empty", "null"),
    "splitFiles": _switch,
    "maxPartitionBytes": _size,
    "minPartitions": _count(1),
    "partitionBy": _names,
    "partitionOverwriteMode": _word("static", "dynamic"),
    "maxRecordsPerFile": _count(0),
    "maxFilesPerTrigger": _count(0),
    "timeZone": _zone,
}
