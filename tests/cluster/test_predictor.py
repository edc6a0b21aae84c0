"""Predictions as columns, in SQL, over streams, and how they fail, on real executors."""

import uuid
from pathlib import Path

import keras
import numpy as np
import pytest
from pyspark.ml.linalg import DenseVector
from pyspark.sql import functions as F

import tensorsparkml as tsm
from tensorsparkml import errors

ROWS = 1003


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One with an input and an output, one with two of each, both without random weights."""
    folder = tmp_path_factory.mktemp("models")
    ones = {"kernel_initializer": "ones"}
    single = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, **ones)])
    single.export(folder / "single", verbose=False)
    single.save(folder / "single.keras")
    number, pair = keras.Input((1,), name="number"), keras.Input((2,), name="pair")
    joined = keras.layers.Concatenate()([number, pair])
    outputs = {"score": keras.layers.Dense(1, **ones)(joined), "twice": 2 * pair}
    double = keras.Model({"number": number, "pair": pair}, outputs)
    double.export(folder / "double", verbose=False)
    return folder


@pytest.fixture(scope="module")
def rows(spark):
    """Rows in uneven partitions, of which some are empty."""
    numbers = spark.range(0, ROWS, 1, 3).selectExpr("id", "float(id) AS number")
    pairs = numbers.withColumn("pair", F.array("number", F.lit(1.0).cast("float")))
    return pairs.repartition(7, (F.col("id") % 4).cast("string"))


@pytest.fixture(scope="module")
def single(spark, models):
    return tsm.load_model(models / "single", spark=spark, batch_size=64)


@pytest.fixture(scope="module")
def double(spark, models):
    return tsm.load_model(models / "double", spark=spark)


def test_a_predictor_says_what_it_takes_and_gives(double, models):
    assert str(double) == (
        f"Predictor of the model in {models}/double\n"
        "  input  number: float32 (1)\n"
        "  input  pair: float32 (2)\n"
        "  output score: float32 (1) → float\n"
        "  output twice: float32 (2) → array<float>"
    )


def test_a_column_of_predictions_keeps_the_rows(spark, rows, single):
    before = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    for size in ("7", "100000"):
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", size)
        found = rows.withColumn("p", single("pair")).select("id", "p").collect()
        assert len(found) == ROWS
        assert all(row.p == [row.id + 1.0] * 3 for row in found)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", before)


def test_only_what_the_model_reads_goes_to_python(tmp_path, spark, rows, single):
    rows.withColumn("wide", F.lit("w" * 100)).write.parquet(str(tmp_path / "rows"))
    stored = spark.read.parquet(str(tmp_path / "rows"))
    found = stored.withColumn("p", single("pair")).where("id > 1000").select("id", "wide", "p")
    plan = found._jdf.queryExecution().executedPlan().toString()
    assert "ArrowEvalPython [predict(pair#" in plan
    assert "PushedFilters: [IsNotNull(id), GreaterThan(id,1000)]" in plan
    assert "number" not in plan  # is not even read
    assert sorted(row.id for row in found.collect()) == [1001, 1002]


def test_several_outputs_are_fields_or_columns(rows, double):
    struct = double(features={"number": "number", "pair": "pair"}, outputs={"s": "score"})
    assert rows.where("id = 3").select(struct.alias("s")).first().s == 7.0
    both = rows.where("id = 3").select(double("number", F.col("pair")).alias("o")).select("o.*")
    assert both.first().asDict() == {"score": 7.0, "twice": [6.0, 2.0]}
    beside = double.transform(rows.where("id = 3"))
    assert tuple(beside.first()) == (3, 3.0, [3.0, 1.0], 7.0, [6.0, 2.0])
    assert beside.columns == ["id", "number", "pair", "score", "twice"]


def test_outputs_become_other_things(rows, double):
    outputs = {
        "best": tsm.Output("twice", argmax=True),
        "two": tsm.Output("twice", top_k=1),
        "vector": tsm.Output("twice", type="vector"),
        "text": tsm.Output(
            "score", type="string", function=lambda y: [f"{v:.0f}" for v in y[:, 0]]
        ),
    }
    found = double.transform(rows.where("id = 3"), outputs=outputs)
    assert dict(found.dtypes) | {"vector": "vector"} == {
        "id": "bigint",
        "number": "float",
        "pair": "array<float>",
        "best": "bigint",
        "two": "array<struct<index:bigint,value:float>>",
        "vector": "vector",
        "text": "string",
    }
    row = found.first()
    assert (row.best, [tuple(each) for each in row.two], row.text) == (0, [(0, 6.0)], "7")
    assert row.vector == DenseVector([6.0, 2.0])


def test_sql_calls_a_predictor(spark, rows, double):
    spark.udf.register("score", double.udf)
    rows.createOrReplaceTempView("rows")
    [found] = spark.sql("SELECT score(number, pair).score AS s FROM rows WHERE id = 5").collect()
    assert found.s == 11.0


def test_a_stream_is_transformed(tmp_path, spark, rows, single):
    rows.write.parquet(str(tmp_path / "rows"))
    stream = spark.readStream.schema(rows.schema).parquet(str(tmp_path / "rows"))
    query = (
        single.transform(stream, features="pair")
        .writeStream.format("memory")
        .queryName("predictions")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    assert query.exception() is None
    found = spark.table("predictions").collect()
    assert len(found) == ROWS
    assert all(row.prediction == [row.id + 1.0] * 3 for row in found)


def test_columns_of_any_names_are_kept(spark, single):
    names = ["a.b", "a b", "A.B", "x`y", "x"]
    row = (1, "s", None, 2.5, [1.0, 2.0])
    types = ["int", "string", "int", "double", "array<float>"]
    schema = ", ".join(f"c{place} {type_}" for place, type_ in enumerate(types))
    data = spark.createDataFrame([row], schema).toDF(*names)
    found = single.transform(data, features="x")
    assert found.columns == [*names, "prediction"]
    assert tuple(found.first()) == (*row, [3.0] * 3)
    inside = data.selectExpr("struct(`x` AS `in.side`) AS `out`")
    assert single.transform(inside, features="out.in.side").first().prediction == [3.0] * 3


def test_a_keras_file_is_a_model(rows, spark, models):
    found = tsm.predict(rows.where("id < 2"), models / "single.keras", features="pair")
    assert sorted(row.prediction for row in found.collect()) == [[1.0] * 3, [2.0] * 3]


def test_a_mask_is_an_input(spark):
    predictor = tsm.load_model(lambda: lambda x, known: x * known, spark=spark, returns="float")
    data = spark.createDataFrame([(1.5,), (None,)], "x float")
    convert = {"x": tsm.Column(fill=7, mask=True)}
    features = {"x": "x", "known": "x_mask"}
    found = data.select(predictor(features=features, convert=convert).alias("p")).collect()
    assert [row.p for row in found] == [1.5, 0.0]
    found = predictor.transform(data, features=features, convert=convert).collect()
    assert [row.prediction for row in found] == [1.5, 0.0]


def test_a_function_brings_any_model(spark, rows):
    def load():
        import numpy as np

        weights = np.array([2.0, 10.0])
        return lambda pair: {"sum": pair @ weights, "text": [f"{each[0]:.0f}" for each in pair]}

    predictor = tsm.load_model(load, spark=spark, returns="sum double, text string")
    [found] = rows.where("id = 3").select(predictor("pair").alias("o")).select("o.*").collect()
    assert found.asDict() == {"sum": 16.0, "text": "3"}
    by_name = tsm.load_model(lambda: lambda a, b: b - a, spark=spark, returns="float")
    column = by_name(features={"a": "number", "b": F.lit(10.0).cast("float")})
    assert rows.where("id = 3").select(column.alias("d")).first().d == 7.0


def test_a_failure_ends_the_job_once_with_its_own_error(tmp_path, spark, rows):
    folder = str(tmp_path)

    def load():
        def fail(values):
            Path(folder, uuid.uuid4().hex).touch()
            raise ZeroDivisionError("the model divides by zero")

        return fail

    predictor = tsm.load_model(load, spark=spark, returns="float")
    data = rows.coalesce(1).withColumn("p", predictor("number"))
    words = "the model raised ZeroDivisionError: the model divides by zero"
    with pytest.raises(errors.InferenceError, match=words), tsm.typed_errors():
        data.collect()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_null_is_named_with_its_row(spark, single):
    data = spark.range(0, 10, 1, 2).selectExpr(
        "array(float(id), IF(id = 7, NULL, 1f)) AS pair", "id"
    )
    with pytest.raises(errors.NullValueError) as caught, tsm.typed_errors():
        single.transform(data, features="pair").collect()
    assert "null element [1] in row 2 of partition 1" in caught.value.message
    filled = {"pair": tsm.Column(fill=0), "id": tsm.Column(fill=0)}  # also what is not read
    found = single.transform(data, features="pair", convert=filled).where("id = 7").first()
    assert found.prediction == [7.0] * 3


def tasks_run(spark):
    """Count the tasks of all jobs of this thread."""
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup()]
    stages = [tracker.getStageInfo(stage) for job in jobs for stage in job.stageIds]
    return sum(stage.numCompletedTasks + stage.numFailedTasks for stage in stages if stage)


def test_what_is_wrong_is_known_before_a_task_runs(spark, rows, single, double, models, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no model")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"\x12\xff")
    (tmp_path / "bad.keras").write_bytes(b"no zip")
    model = models / "single"
    text = rows.withColumn("text", F.lit("t")).withColumn("wide", F.array(F.lit("a")))
    calls = {
        "there is no model in .*missing: no such": lambda: tsm.load_model(
            tmp_path / "missing", spark=spark
        ),
        "there is no model in .*empty": lambda: tsm.load_model(tmp_path / "empty", spark=spark),
        "no saved_model.pb in .*other; it has notes.txt": lambda: tsm.load_model(
            tmp_path / "other", spark=spark
        ),
        "is not the file of a SavedModel .*too early": lambda: tsm.load_model(
            tmp_path / "broken", spark=spark
        ),
        r"bad\.keras is not the file of a Keras model": lambda: tsm.load_model(
            tmp_path / "bad.keras", spark=spark
        ),
        "no signature 'other'; it has 'serve', 'serving_default'": lambda: tsm.load_model(
            model, spark=spark, signature="other"
        ),
        "model must be a path": lambda: tsm.load_model(7, spark=spark),
        "returns is needed for a function": lambda: tsm.load_model(lambda: len, spark=spark),
        "returns is for functions": lambda: tsm.load_model(model, spark=spark, returns="int"),
        "'floot' is neither a type": lambda: tsm.load_model(
            lambda: len, spark=spark, returns="floot"
        ),
        "no column 'key' in the DataFrame; it has id, number, pair": lambda: single.transform(
            rows, features="key"
        ),
        "has the inputs 'number', 'pair', but features has 1": lambda: double("number"),
        "no column for 'pair'": lambda: double(features={"number": "number"}),
        "pass the columns of the model's inputs": lambda: single(),
        "no output 'other'; it has score, twice": lambda: double(
            "number", "pair", outputs=["other"]
        ),
        "already has a column 'pair'": lambda: double.transform(rows, outputs={"pair": "twice"}),
        "'text' has strings, but input": lambda: single.transform(text, features="text"),
        "'number' has single values, but input .*shape \\(2,\\)": lambda: single.transform(
            rows, features="number"
        ),
        "convert names the column 'id', which no input gets; they get pair": lambda: single(
            "pair", convert={"id": tsm.Column()}
        ),
        "no column 'key' in the DataFrame; it has id": lambda: single.transform(
            rows, features="pair", convert={"key": tsm.Column()}
        ),
        "type='floot' is no type": lambda: single("pair", outputs=tsm.Output(type="floot")),
        "no DataFrame in which to look": lambda: single(tsm.Matrix("f*")),
        "must be a Spark DataFrame": lambda: tsm.predict([1], model, features="x"),
    }
    before = tasks_run(spark)
    for words, call in calls.items():
        with pytest.raises(errors.TensorSparkMLError, match=words):
            call()
    assert tasks_run(spark) == before


def test_an_overwritten_model_is_loaded_by_the_next_job(tmp_path, spark, rows):
    def write(value):
        layer = keras.layers.Dense(1, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((2,)), layer])
        layer.set_weights([np.zeros((2, 1)), np.full(1, value)])
        model.export(tmp_path / "model", verbose=False)

    write(1.0)
    predicted = tsm.predict(rows, tmp_path / "model", features="pair").agg(F.sum("prediction"))
    assert predicted.first()[0] == ROWS
    write(2.0)
    assert predicted.first()[0] == 2 * ROWS
