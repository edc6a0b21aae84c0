"""Many columns as one tensor, wherever a program gets rows."""

import numpy as np
import pytest

import tensorsparkml as tsm
from tensorsparkml.errors import MissingColumnError

ROWS = 50


def read_in_all_ways(args, ctx):
    """Read the rows as datasets and batch by batch, reply to others, and export a model."""
    import tensorflow as tf

    numbers = tsm.Matrix("f?", fill=-1)
    features = {"numbers": numbers, "text": "name"}
    (x, y), *_ = ctx.dataset(batch_size=ROWS, features=features, label=tsm.Matrix(["f1", "flag"]))
    found = {"dataset": (x["numbers"].numpy(), y.numpy(), x["text"].numpy().tolist())}

    columns = {"x": tsm.Matrix(["point.left", "price", "f1"]), "id": "id"}
    batch = ctx.feed(columns=columns).next_batch(ROWS)
    found["feed"] = batch

    [rows] = ctx.read_parquet(args["file"], batch_size=ROWS, features=("id", numbers))
    found["file"] = [part.numpy() for part in rows]

    class Sum(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def __call__(self, x):
            return {"sum": tf.reduce_sum(x, 1, keepdims=True)}

    module = Sum()
    tf.saved_model.save(module, args["model"], signatures={"serving_default": module.__call__})

    for batch in ctx.inference(batch_size=16, columns={"x": tsm.Matrix(["f1", "id"])}):
        batch.reply({"sum": batch["x"].sum(1)})
    return found


def test_a_matrix_is_read_everywhere(spark, tmp_path):
    rows = spark.range(ROWS, numPartitions=1).selectExpr(
        "id",
        "if(id = 3, null, float(id)) f0",
        "double(id) / 2 f1",
        "id % 2 = 0 flag",
        "cast(id as decimal(9, 2)) price",
        "named_struct('left', int(-id)) point",
        "string(id) name",
    )
    args = {"file": str(tmp_path / "rows.parquet"), "model": str(tmp_path / "model")}
    rows.coalesce(1).write.parquet(args["file"])
    with tsm.Cluster(read_in_all_ways, args, spark=spark) as cluster:
        cluster.train(rows)
        answered = cluster.inference(rows, "sum float", keep=["id"]).collect()
        assert [row.sum for row in answered] == [1.5 * i for i in range(ROWS)]

    [found] = cluster.results
    ids = np.arange(ROWS)
    filled = np.where(ids == 3, -1, ids)
    numbers, label, text = found["dataset"]
    assert numbers.dtype == label.dtype == np.float32
    order = [int(name) for name in text]
    assert sorted(order) == ids.tolist()
    np.testing.assert_array_equal(numbers, np.stack([filled, ids / 2], 1)[order])
    np.testing.assert_array_equal(label, np.stack([ids / 2, ids % 2 == 0], 1)[order])
    batch = found["feed"]
    np.testing.assert_array_equal(batch["x"], np.stack([-ids, ids, ids / 2], 1)[batch["id"]])
    of_file, matrix = found["file"]
    np.testing.assert_array_equal(matrix, np.stack([filled, ids / 2], 1)[of_file])

    features = tsm.Matrix(["f1", "id"])
    outputs = {"sum": tsm.Output()}
    predicted = tsm.predict(rows, args["model"], features=features, outputs=outputs).collect()
    assert [row["sum"] for row in predicted] == [1.5 * i for i in range(ROWS)]

    renamed = rows.selectExpr("f1", "id", "name", "name", "flag").toDF("a.b", "A.b", *"xxy")
    predicted = tsm.predict(renamed, args["model"], features=tsm.Matrix(["a.b", "A.b"]))
    assert predicted.columns == ["a.b", "A.b", "x", "x", "y", "prediction"]
    assert [row[-1] for row in predicted.collect()] == [1.5 * i for i in range(ROWS)]


@pytest.mark.parametrize(
    "features",
    ["none", tsm.Matrix(["id", "none"]), tsm.Matrix("none*"), {"x": tsm.Matrix(["none.inner"])}],
)
def test_predictions_need_columns_that_are_there(spark, features):
    predictor = tsm.load_model(lambda: len, spark=spark, returns="int")
    with pytest.raises(MissingColumnError, match="none"):
        predictor.transform(spark.range(3), features=features)
