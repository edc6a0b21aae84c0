"""TFRecord files as DataFrames, on real executors."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F
from pyspark.sql.datasource import DataSourceStreamReader

from tensorsparkml import errors, tfrecord
from tfrecord_bytes import framed

COLUMNS = [
    "id",
    "CAST(id AS tinyint) AS tiny",
    "CAST(id AS int) AS small",
    "id % 2 = 0 AS even",
    "timestamp_micros(id) AS at",
    "IF(id % 3 = 0, NULL, float(id) / 2) AS half",
    "double(id) AS big",
    "CAST(id AS decimal(10, 2)) AS price",
    "concat('ä', id) AS name",
    "concat(unhex('ff'), encode(string(id), 'utf-8')) AS raw",
    "array(id, -id) AS both",
    "IF(id % 4 = 0, array(), array(float(id), 1.5F)) AS maybe",
    "id % 3 AS day",
]


@pytest.fixture(scope="module", autouse=True)
def registered(spark):
    tfrecord.register(spark)


@pytest.fixture(scope="module")
def rows(spark):
    return spark.range(0, 100, 1, 3).selectExpr(*COLUMNS).cache()


def ordered(data):
    return data.orderBy("id").collect()


def load(spark, path, schema=None, **options):
    reader = spark.read.format("tfrecord").options(**options)
    return (reader if schema is None else reader.schema(schema)).load(str(path))


def test_every_type_comes_back(spark, rows, tmp_path):
    tfrecord.write(rows, f"file://{tmp_path}/all", partition_by="day", compression="gzip")
    assert ordered(load(spark, tmp_path / "all", rows.schema)) == ordered(rows)
    found = dict(load(spark, tmp_path / "all").dtypes)
    assert found == {
        "id": "bigint", "tiny": "bigint", "small": "bigint", "even": "bigint", "at": "bigint",
        "half": "float", "big": "float", "price": "float", "name": "string", "raw": "binary",
        "both": "array<bigint>", "maybe": "array<float>", "day": "int",
    }  # fmt: skip
    assert tfrecord.count(spark, str(tmp_path / "all")) == 100


def test_vectors_are_written_as_arrays(rows, spark, tmp_path):
    vectors = rows.select("id", array_to_vector("both").alias("x"))
    tfrecord.write(vectors, str(tmp_path / "all"))
    found = load(spark, tmp_path / "all", "id long, x array<float>")
    assert [list(row.x) for row in ordered(found)] == [[id, -id] for id in range(100)]


def test_feature_lists(spark, rows, tmp_path):
    steps = rows.selectExpr("id", "array(both, array()) AS steps", "array(array(name)) AS words")
    kind = {"recordType": "SequenceExample"}
    tfrecord.write(steps, str(tmp_path / "all"), **kind)
    found = load(spark, tmp_path / "all", **kind)
    assert dict(found.dtypes)["steps"] == "array<array<bigint>>"
    assert ordered(found.select(steps.columns)) == ordered(steps)
    with pytest.raises(Exception, match="set the option recordType to SequenceExample"):
        tfrecord.write(steps, str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_only_what_is_needed_is_read(spark, rows, tmp_path):
    days = rows.selectExpr("id", "name", "date_add(DATE'2026-11-26', int(day)) AS day")
    folder = str(tmp_path / "all")
    tfrecord.write(days, folder, partition_by="day")
    for day in ("26", "28"):
        (tmp_path / "all" / f"day=2026-11-{day}" / "broken").write_bytes(b"no records at all")
    found = tfrecord.read(
        spark, folder, schema=days.schema, columns=["id", "day"], where="day = '2026-11-27'"
    )
    assert found.dtypes == [("id", "bigint"), ("day", "date")]
    assert ordered(found) == ordered(days.select("id", "day").where("day = '2026-11-27'"))
    by_glob = load(spark, f"{folder}/day=2026-11-{{27,x*}}", days.schema, basePath=folder)
    assert ordered(by_glob.select("id", "day")) == ordered(found)
    # What one query filters, another one of the same DataFrame does not.
    whole = load(spark, folder, days.schema, mode="DROPMALFORMED")
    assert whole.where("day = '2026-11-27'").count() == 33 and whole.count() == 100
    with pytest.raises(Exception, match="broken has a malformed record at byte 0"):
        load(spark, folder, days.schema).count()
    for wrong, message in (
        ({"columns": ["x"]}, "has no column 'x'; it has id, name, day"),
        ({"where": "day > '2027-01-01'"}, "no folder of .* fulfils the condition; its columns"),
        ({"where": "id > 3"}, "`id` cannot be resolved"),
    ):
        with pytest.raises(Exception, match=message):
            tfrecord.read(spark, folder, schema=days.schema, **wrong)
    with pytest.raises(errors.ConfigurationError, match="make no columns, such as day=1/"):
        tfrecord.read(spark, f"{folder}/day=2026-11-27", where="day = '2026-11-27'")


def test_modes_of_writing(spark, rows, tmp_path):
    folder, few = str(tmp_path / "all"), rows.select("id").where("id < 10")
    tfrecord.write(few, folder)
    with pytest.raises(errors.ConfigurationError, match=r"is there already; set mode to 'append'"):
        tfrecord.write(few, folder)
    tfrecord.write(few, folder, mode="ignore")
    assert tfrecord.count(spark, folder) == 10
    tfrecord.write(few, folder, mode="append")
    assert tfrecord.count(spark, folder) == 20
    # What is read may be overwritten: it goes away when all has been written.
    again = load(spark, folder).where("id < 3")
    tfrecord.write(again, folder, mode="overwrite")
    assert sorted(row.id for row in load(spark, folder).collect()) == [0, 0, 1, 1, 2, 2]


def dies_once(marker):
    """Return a function that ends its Python worker the first time that it gets the row 50."""

    def look(number):
        if number == 50 and not Path(marker).exists():
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return F.udf(look, "long")


def test_a_task_that_is_repeated_leaves_each_record_once(spark, rows, tmp_path):
    numbers = rows.select(dies_once(str(tmp_path / "died"))("id").alias("id"))
    tfrecord.write(numbers, str(tmp_path / "all"))
    assert (tmp_path / "died").exists()
    assert [row.id for row in ordered(load(spark, tmp_path / "all"))] == list(range(100))
    assert [path.name for path in (tmp_path / "all").iterdir() if path.is_dir()] == []


def test_a_job_that_fails_leaves_nothing(spark, rows, tmp_path):
    tfrecord.write(rows.select("id"), str(tmp_path / "all"))
    before = sorted((tmp_path / "all").iterdir())
    wrong = rows.selectExpr("IF(id = 77, raise_error('no 77'), id) AS id")
    with pytest.raises(Exception, match="no 77"):
        tfrecord.write(wrong, str(tmp_path / "all"), mode="overwrite")
    nulls = rows.selectExpr("array(id, IF(id = 77, NULL, id)) AS both")
    with pytest.raises(Exception, match="'both' has a null within an array"):
        tfrecord.write(nulls, str(tmp_path / "all"), mode="append")
    assert sorted((tmp_path / "all").iterdir()) == before


def test_streams(spark, rows, tmp_path):
    """Each row arrives once, though the query is started again, and repeats its last batch."""
    source, target, state = (str(tmp_path / name) for name in ("source", "target", "state"))
    ids = rows.selectExpr("id", "id % 2 AS odd")

    def run():
        stream = spark.readStream.format("tfrecord").schema("id long, odd int")
        stream = stream.option("maxFilesPerTrigger", 2).load(source)
        writer = stream.writeStream.format("tfrecord").option("checkpointLocation", state)
        query = writer.trigger(processingTime="0 seconds").start(target)
        try:
            query.processAllAvailable()
        finally:
            query.stop()
        batches = [int(path.name) for path in (tmp_path / "state" / "commits").glob("[0-9]*")]
        return [row.id for row in ordered(load(spark, target))], max(batches)

    with pytest.raises(Exception, match=r"there is no folder .*source, from which a stream"):
        run()
    tfrecord.write(ids, source, partition_by="odd", maxRecordsPerFile=20)
    found, first = run()
    limited = hasattr(DataSourceStreamReader, "getDefaultReadLimit")  # of Spark 4.2
    assert found == list(range(100)) and first == (2 if limited else 0)
    more = ids.selectExpr("id + 100 AS id", "odd")
    tfrecord.write(more, source, mode="append", partition_by="odd")
    found, last = run()
    assert found == list(range(200)) and last > first
    for path in (tmp_path / "state" / "commits").glob(f"*{last}*"):
        path.unlink()  # as if Spark had ended before it noted the batch
    assert run()[0] == list(range(200))
    with pytest.raises(Exception, match="has the outputMode append"):
        stream = spark.readStream.format("tfrecord").schema("id long, odd int").load(source)
        counts = stream.groupBy("odd").count().writeStream.format("tfrecord")
        counts = counts.outputMode("complete").option("checkpointLocation", f"{state}-2")
        counts.start(f"{target}-2").processAllAvailable()


def test_malformed_records(spark, rows, tmp_path):
    tfrecord.write(rows.select("id").coalesce(1), str(tmp_path / "all"))
    [file] = (tmp_path / "all").glob("part-*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(Exception, match=r"part-.* byte \d+"):
        load(spark, tmp_path / "all", "id long").collect()
    assert load(spark, tmp_path / "all", "id long", mode="DROPMALFORMED").count() == 99
    found = load(spark, tmp_path / "all", "id long, _corrupt_record binary", mode="PERMISSIVE")
    [bad] = found.where("_corrupt_record IS NOT NULL").collect()
    assert bad.id is None and found.count() == 100


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("map('a', 1) AS m", r"'m' has the type map<.*, which TFRecords do not hold"),
        ("date '2026-11-28' AS d", "'d' has the type date32"),
        ("named_struct('a', 1) AS s", "'s' has the type struct"),
    ],
)
def test_types_that_are_refused_before_a_task_starts(rows, tmp_path, expression, message):
    with pytest.raises(Exception, match=message):
        tfrecord.write(rows.selectExpr(expression), str(tmp_path / "all"))
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recordType": "Text"}, "recordType must be one of Example, SequenceExample, ByteArray"),
        ({"recordTyp": "Example"}, "there is no option 'recordtyp'"),
    ],
)
def test_options_are_checked_at_once(spark, tmp_path, options, message):
    (tmp_path / "a").write_bytes(framed(b""))
    with pytest.raises(Exception, match=message):
        load(spark, tmp_path, **options)


def test_raw_bytes_and_features_that_differ_between_files(spark, rows, tmp_path):
    folder = tmp_path / "all"
    tfrecord.write(rows.selectExpr("id", "float(id) AS x"), str(folder))
    tfrecord.write(rows.selectExpr("id", "array(id, id) AS y"), str(folder), mode="append")
    found = load(spark, folder)
    assert found.dtypes == [("id", "bigint"), ("x", "float"), ("y", "array<bigint>")]
    assert found.where("x IS NULL AND size(y) = 2").count() == 100
    raw = load(spark, folder, recordType="ByteArray")
    assert raw.dtypes == [("byteArray", "binary")] and raw.count() == 200
    tfrecord.write(raw, str(tmp_path / "copy"), recordType="ByteArray")
    assert ordered(load(spark, tmp_path / "copy").select("id")) == ordered(found.select("id"))
    tfrecord.write(rows.selectExpr("id", "name AS x"), str(folder), mode="append")
    with pytest.raises(Exception, match=r"the feature 'x' has (bytes|floats) in .*, and"):
        load(spark, folder)
    shutil.rmtree(folder)
    with pytest.raises(Exception, match="there are no files at"):
        load(spark, folder)
