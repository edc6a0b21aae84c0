"""`dfutil` of TensorFlowOnSpark."""

from __future__ import annotations

import pytest
from pyspark.sql import Row

from tensorflowonspark import dfutil
from tensorsparkml.errors import ConfigurationError, UnsupportedColumnError

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def rows(spark):
    return spark.range(0, 4, 1, 2).selectExpr(
        "'text' AS a", "id AS b", "array(id, id + 1) AS c", "double(id) / 4 AS d",
        "array(double(id), 0.5D) AS e", "unhex('fffe') AS f", "id > 1 AS g",
        "IF(id = 2, NULL, id) AS h",
    )  # fmt: skip


def test_a_folder_has_the_rows(spark, rows, tmp_path):
    folder = str(tmp_path / "rows")
    dfutil.saveAsTFRecords(rows, folder)
    found = dfutil.loadTFRecords(spark.sparkContext, folder, binary_features=["f"])
    assert found.dtypes == [
        ("a", "string"), ("b", "bigint"), ("c", "array<bigint>"), ("d", "double"),
        ("e", "array<double>"), ("f", "binary"), ("g", "bigint"), ("h", "bigint"),
    ]  # fmt: skip
    expected = rows.withColumn("g", rows.g.cast("long")).orderBy("b").collect()
    assert found.orderBy("b").collect() == expected
    assert dfutil.isLoadedDF(found)
    assert not dfutil.isLoadedDF(rows) and not dfutil.isLoadedDF(found.where("b > 1"))
    with pytest.raises(ConfigurationError, match="is there already"):
        dfutil.saveAsTFRecords(rows, folder)


def test_rows_to_messages_and_back(rows):
    messages = rows.rdd.mapPartitions(dfutil.toTFExample(rows.dtypes)).collect()
    first = tf.train.Example.FromString(bytes(messages[0][0]))
    assert first.features.feature["a"].bytes_list.value == [b"text"]
    assert first.features.feature["d"].float_list.value == [0.0]
    found = dfutil.fromTFExample(messages, binary_features=["f"])
    assert found[0] == Row(
        a="text", b=0, c=[0, 1], d=0.0, e=[0.0, 0.5], f=bytearray(b"\xff\xfe"), g=0, h=0
    )
    assert not hasattr(found[2], "h")  # and not that of the row before
    schema = dfutil.infer_schema(first, binary_features=["f"])
    assert schema.simpleString() == (
        "struct<a:string,b:bigint,c:array<bigint>,d:double,e:array<double>,f:binary,"
        "g:bigint,h:bigint>"
    )
    with pytest.raises(UnsupportedColumnError, match="'m' has the type map<int,int>; there are"):
        dfutil.toTFExample([("m", "map<int,int>")])
