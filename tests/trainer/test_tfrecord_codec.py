"""Records mean the same here and in TensorFlow, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from tensorsparkml.data.files.framing import RecordReader, Records
from tensorsparkml.tfrecord.codec.encode import encode_records
from tensorsparkml.tfrecord.codec.features import FeatureColumn, Kind
from tensorsparkml.tfrecord.codec.records import decode_records
from tensorsparkml.tfrecord.codec.wire import View
from tfrecord_tables import Row, tables

FIELDS = {Kind.BYTES: "bytes_list", Kind.FLOAT: "float_list", Kind.INT64: "int64_list"}


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def to_message(tf: Any, sequences: bool, columns: list[FeatureColumn], row: Row) -> Any:
    lists = {
        Kind.BYTES: tf.train.BytesList,
        Kind.FLOAT: tf.train.FloatList,
        Kind.INT64: tf.train.Int64List,
    }

    def feature(kind: Kind, values: list[Any]) -> Any:
        return tf.train.Feature(**{FIELDS[kind]: lists[kind](value=values)})

    context, steps = {}, {}
    for column, value in zip(columns, row, strict=True):
        if value is None:
            continue
        if not column.steps:
            context[column.name] = feature(column.kind, value if column.depth else [value])
            continue
        each = [feature(column.kind, step if column.depth > 1 else [step]) for step in value]
        steps[column.name] = tf.train.FeatureList(feature=each)
    features = tf.train.Features(feature=context)
    if not sequences:
        return tf.train.Example(features=features)
    feature_lists = tf.train.FeatureLists(feature_list=steps)
    return tf.train.SequenceExample(context=features, feature_lists=feature_lists)


@given(table=tables())
def test_messages_are_those_of_tensorflow(
    tf: Any, tmp_path_factory: Any, table: tuple[bool, list[FeatureColumn], list[Row]]
) -> None:
    sequences, columns, rows = table
    messages = [to_message(tf, sequences, columns, row) for row in rows]
    path = Path(tmp_path_factory.getbasetemp(), "messages.tfrecord")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in messages:
            writer.write(message.SerializeToString())
    found: list[Row] = []
    with path.open("rb") as file:
        for records in RecordReader(file).read():
            assert isinstance(records, Records) and not records.wrong
            arrays, errors = decode_records(
                View(records.data), records.start, records.end, columns, sequences=sequences
            )
            assert errors == {}
            found += map(list, zip(*(array.to_pylist() for array in arrays), strict=True))
    assert found == rows

    arrays = [
        pa.array([row[place] for row in rows], column.type) for place, column in enumerate(columns)
    ]
    encoded = encode_records(columns, arrays, sequences=sequences)
    kind = tf.train.SequenceExample if sequences else tf.train.Example
    assert [kind.FromString(record.as_py()) for record in encoded] == messages
    # Not only the meaning: TensorFlow writes as many bytes, too.
    sizes = [len(message.SerializeToString()) for message in messages]
    assert [len(record.as_py()) for record in encoded] == sizes


def test_parse_example_reads_what_is_written(tf: Any) -> None:
    columns = [
        FeatureColumn("image", Kind.FLOAT, 1),
        FeatureColumn("label", Kind.INT64),
        FeatureColumn("name", Kind.BYTES),
    ]
    images = np.random.default_rng(3).random((50, 784), np.float32)
    arrays = [
        pa.FixedSizeListArray.from_arrays(images.ravel(), 784).cast(pa.list_(pa.float32())),
        pa.array(range(-25, 25)),
        pa.array([f"name {number}".encode() for number in range(50)]),
    ]
    records = encode_records(columns, arrays).to_pylist()
    spec = {
        "image": tf.io.FixedLenFeature([784], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "name": tf.io.FixedLenFeature([], tf.string),
    }
    parsed = tf.io.parse_example(records, spec)
    np.testing.assert_array_equal(parsed["image"], images)
    assert parsed["label"].numpy().tolist() == list(range(-25, 25))
    assert parsed["name"].numpy()[7] == b"name 7"
