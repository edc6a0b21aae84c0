"""Columns and rows that a model would leave out without a word."""

import pytest

import tensorsparkml as tsm


def train_on_parts(args, ctx):
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((1,), name="x"), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    columns = r"2 tensors \(a, b\), but the model has 1 input \(x\)"
    for label in ("b", None):
        dataset = ctx.dataset(batch_size=4, features=["a", "b"], label=label)
        with pytest.raises(tsm.errors.ConfigurationError, match=columns):
            model.predict(dataset, verbose=0)
    joined = ctx.dataset(
        batch_size=4, features=["a", "b"], label="b", transform=lambda x, y: (x[0] + x[1], y)
    )
    assert len(model.predict(joined, verbose=0)) == 8 * ctx.num_workers
    full = ctx.dataset(batch_size=9, features="a", label="b", drop_remainder=True)
    model.fit(full, verbose=0)


@pytest.mark.parametrize("nodes", [pytest.param(1, marks=pytest.mark.full), 2])
def test_columns_and_rows_that_nobody_would_use(spark, nodes):
    rows = spark.range(8 * nodes).selectExpr("float(id) a", "float(id) b")
    numbers = rf"{8 * nodes} rows for {nodes} nodes?, so no batch of 9 rows .* batch_size=8 or less"
    with pytest.raises(tsm.errors.EmptyFeedError, match=numbers):
        tsm.run(train_on_parts, spark=spark, data=rows, num_workers=nodes)
