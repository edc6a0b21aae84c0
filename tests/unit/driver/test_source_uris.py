"""What may take the place of a DataFrame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tensorsparkml.driver.feeds.delivery import source_uris
from tensorsparkml.errors import ConfigurationError


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a.parquet", ("hdfs://nn/user/",)),
        ("s3://bucket/a", ("s3://bucket/a",)),
        (Path("/data/a"), ("hdfs://nn/data/a",)),
        (["s3://b/1", "/2"], ("s3://b/1", "hdfs://nn/2")),
        (None, None),
        (object(), None),
        ([], None),
    ],
)
def test_uris_become_absolute(data: Any, expected: Any) -> None:
    found = source_uris(data, "hdfs://nn", "/work")
    if data == "a.parquet":
        assert found is not None and found[0].startswith(expected[0])
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a.tfrecord", "only Parquet"),
        (["b.tfrecords.gz"], "only Parquet"),
    ],
)
def test_what_cannot_be_read(data: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        source_uris(data, "file:///", "/work")
