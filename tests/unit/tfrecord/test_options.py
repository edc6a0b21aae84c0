"""The options of the source."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tensorsparkml.errors import ConfigurationError
from tensorsparkml.tfrecord.source.options import (
    Compression,
    Mode,
    Options,
    RecordType,
    parse_options,
)


def test_options_are_read_without_regard_to_case() -> None:
    given = {
        "PATH": "s3://bucket/a",
        "recordtype": "sequenceexample",
        "Compression": "GZIP",
        "mode": "permissive",
        "binaryColumns": "picture, sound",
        "samplingRatio": "0.1",
        "maxPartitionBytes": "64 MB",
        "partitionBy": "day,hour",
        "verifyChecksums": "False",
    }
    assert parse_options(given) == Options(
        ("s3://bucket/a",),
        recordType=RecordType.SEQUENCE_EXAMPLE,
        compression=Compression.GZIP,
        mode=Mode.PERMISSIVE,
        binaryColumns=("picture", "sound"),
        samplingRatio=0.1,
        maxPartitionBytes=64 * 2**20,
        partitionBy=("day", "hour"),
        verifyChecksums=False,
    )


def test_paths_may_be_several() -> None:
    assert parse_options({"paths": '["a", "b"]'}).paths == ("a", "b")


def test_what_the_user_sets_comes_before_the_defaults() -> None:
    found = parse_options({"path": "a", "MINPARTITIONS": "3"}, {"minPartitions": "8"})
    assert found.minPartitions == 3


@pytest.mark.parametrize(
    ("codec", "compression"),
    [
        ("org.apache.hadoop.io.compress.GzipCodec", Compression.GZIP),
        ("org.apache.hadoop.io.compress.DefaultCodec", Compression.ZLIB),
        ("org.apache.hadoop.io.compress.DeflateCodec", Compression.ZLIB),
        ("gzip", Compression.GZIP),
    ],
)
def test_the_option_of_spark_tfrecord_is_known(codec: str, compression: Compression) -> None:
    assert parse_options({"path": "a", "codec": codec}).compression is compression


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("5b", 5), ("5 KB", 5 * 2**10), ("1t", 2**40), ("2PB", 2**51)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_options({"path": "a", "inferBytes": text}).inferBytes == size


@pytest.mark.parametrize(
    ("text", "hours"), [("UTC", 0), ("+05:30", 5.5), ("GMT-8", -8), ("Asia/Kolkata", 5.5)]
)
def test_time_zones_are_those_of_spark(text: str, hours: float) -> None:
    zone = parse_options({"path": "a", "timeZone": text}).timeZone
    assert zone.utcoffset(datetime(2026, 11, 28)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no path is given"),
        ({"path": "a", "record": "x"}, "there is no option 'record'; there are .*recordType"),
        ({"path": "a", "recordType": "x"}, "recordType must be one of Example, SequenceEx"),
        ({"path": "a", "compression": "lzo"}, "compression must be one of none, gzip, zlib"),
        ({"path": "a", "mode": ""}, "mode must be one of FAILFAST, DROPMALFORMED, PERMISSIVE"),
        ({"path": "a", "splitFiles": "yes"}, "splitFiles must be true or false, not 'yes'"),
        ({"path": "a", "samplingRatio": "0"}, "samplingRatio must be above 0, and 1 at most"),
        ({"path": "a", "samplingRatio": "much"}, "samplingRatio must be above 0"),
        ({"path": "a", "maxPartitionBytes": "0"}, "maxPartitionBytes must be a number of bytes"),
        ({"path": "a", "maxPartitionBytes": "1x"}, "such as 128m, not '1x'"),
        ({"path": "a", "maxRecordsPerFile": "-1"}, "maxRecordsPerFile must be a number of at"),
        ({"path": "a", "timeZone": "Mars/Base"}, "timeZone must be a time zone, such as Eur"),
        ({"path": "a", "codec": "gzip", "compression": "zlib"}, "codec and compression differ"),
        ({"path": "a", "emptyLists": "x"}, "emptyLists must be one of empty, null"),
    ],
)
def test_what_is_no_option_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_options(given)
