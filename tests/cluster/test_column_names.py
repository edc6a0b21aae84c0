"""Columns keep their names, whatever these are; several of one name are refused before a start."""

import numpy as np
import pytest
from pyspark.sql import functions as F

import tensorsparkml as tsm
from tensorsparkml.errors import ConfigurationError, MissingColumnError, UnsupportedColumnError

ROWS = 20
# What Spark reads as a field, as a quotation and as the same name.
NAMES = ["a.b", "a`b", "a b", "größe", "id", "ID", ""]
FIELD = "s.t.x.y"  # the field `x.y` of the column `s.t`


def named(spark):
    """Rows with ids, of which each column adds its place."""
    numbers = [F.col("id") + place for place in range(len(NAMES))]
    struct = F.struct((F.col("id") * 10).alias("x.y"), F.lit(1).alias("X"), F.lit(2).alias("x"))
    return spark.range(ROWS, numPartitions=2).select(*numbers, struct).toDF(*NAMES, "s.t")


def read(feed):
    found = {}
    while not feed.should_stop():
        for name, values in feed.next_batch(7).items():
            found.setdefault(name, []).append(values)
    return {name: np.sort(np.concatenate(parts)).tolist() for name, parts in found.items()}


def read_direct(args, ctx):
    return read(ctx.feed(columns=[*NAMES, FIELD, "s.t.X", "s.t.x"]))


def read_all(args, ctx):
    found = [read(ctx.feed("all", columns=[*NAMES, FIELD])), read(ctx.feed("chosen"))]
    found.append(read(ctx.feed("stream")))
    for batch in ctx.inference(batch_size=8, columns=["a.b", FIELD]):
        batch.reply({"p.q": batch["a.b"] + batch[FIELD]})
    return found


EXPECTED = {name: list(range(place, ROWS + place)) for place, name in enumerate(NAMES)}
EXPECTED[FIELD] = list(range(0, 10 * ROWS, 10))


def test_any_name_in_the_rows_of_a_run(spark):
    [found] = tsm.run(read_direct, data=named(spark), spark=spark, packages=())
    assert found == {**EXPECTED, "s.t.X": [1] * ROWS, "s.t.x": [2] * ROWS}


def test_any_name_in_feeds_streams_and_inferences(spark, tmp_path):
    rows, chosen = named(spark), ["ID", "a.b", FIELD]
    spark.range(ROWS).write.parquet(str(tmp_path / "rows"))
    stream = spark.readStream.schema("id long").parquet(str(tmp_path / "rows"))
    stream = stream.select(F.col("id").alias("a.b"), F.col("id").alias("b"), F.col("id").alias("B"))
    twice = spark.range(3).selectExpr("id as x", "id", "id")
    inside = spark.sql("select array(named_struct('x', 1, 'x', 2)) as xs")
    with tsm.Cluster(read_all, spark=spark, packages=()) as cluster:
        for wrong, name in ((twice, "'id'"), (inside, "'xs' are named 'x'")):
            with pytest.raises(UnsupportedColumnError, match=name):
                cluster.train(wrong, feed="all")
            with pytest.raises(UnsupportedColumnError, match=name):
                cluster.inference(wrong)
        with pytest.raises(UnsupportedColumnError, match=r"'a\.b'"):
            cluster.train_stream(stream.toDF("a.b", "a.b", "B"), feed="stream")
        with pytest.raises(MissingColumnError, match=r"'s.t.z' .* has a.b, a`b, .*, s\.t"):
            cluster.train(rows, columns=["s.t.z"], feed="chosen")
        with pytest.raises(ConfigurationError, match="several columns named 'p'"):
            cluster.inference(rows, "p int, p long")

        cluster.train(rows, feed="all")
        cluster.train(rows, feed="chosen", columns=chosen)
        writer = stream.writeStream.trigger(availableNow=True)
        cluster.train_stream(writer, feed="stream", columns=["a.b", "B"]).wait()
        answers = cluster.inference(rows, "`p.q` long", keep=["a.b", "ID"])
        assert answers.columns == ["a.b", "ID", "p.q"]
        assert sorted(map(tuple, answers.collect())) == [(i, i + 5, 11 * i) for i in range(ROWS)]
    [[everything, some, streamed]] = cluster.results
    assert everything == EXPECTED
    assert some == {name: EXPECTED[name] for name in chosen}
    assert streamed == {"a.b": list(range(ROWS)), "B": list(range(ROWS))}


def test_several_of_one_name_are_refused_before_nodes_start(spark):
    twice = spark.range(3).selectExpr("id as x", "id", "id")
    too_many = {"spark": spark, "num_workers": 99}  # which would be the next error
    predictor = tsm.load_model(lambda: len, spark=spark, returns="int")
    calls = [
        lambda: tsm.run(read_direct, data=twice, **too_many),
        lambda: tsm.run(read_direct, data=twice, seed=3, shuffle=True, **too_many),
        lambda: tsm.run(read_direct, data=twice, columns=["id"], **too_many),
        lambda: tsm.Cluster(read_direct, direct=twice, spark=spark),
        lambda: predictor.transform(twice, features="id"),
    ]
    for call in calls:
        with pytest.raises(UnsupportedColumnError, match="columns of the DataFrame are named 'id'"):
            call()


def test_columns_that_are_not_read_may_have_one_name(spark):
    twice = spark.range(ROWS).selectExpr("id as x", "id", "id")
    [found] = tsm.run(
        lambda args, ctx: read(ctx.feed()), data=twice, columns=["x"], spark=spark, packages=()
    )
    assert found == {"x": list(range(ROWS))}
