"""A call that all nodes must make, and only one makes."""

import pytest

import tensorsparkml as tsm


def evaluate_on_the_chief_alone(args, ctx):
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    model.fit(ctx.dataset(batch_size=4, features="x", label="x"), verbose=0)
    if ctx.is_chief:
        model.evaluate(ctx.dataset(batch_size=4, features="x", label="x"), verbose=0)


@pytest.mark.full
def test_who_waits_for_whom_is_told(spark):
    rows = spark.range(16).selectExpr("float(id) x")
    with pytest.raises(tsm.errors.NodeError, match=r"^\[chief:0\] evaluate waits for worker:0, "):
        tsm.run(evaluate_on_the_chief_alone, spark=spark, data=rows, num_workers=2)
