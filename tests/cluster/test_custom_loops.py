"""Programs without Keras: a `tf.Module`, a likelihood as the loss, and a loop of their own."""

import numpy as np
import pytest

import tensorsparkml as tsm

ROWS, EPOCHS = 240, 30


def estimate(args, ctx):
    """Fit a normal distribution whose mean and deviation are lines; batches hold all rows."""
    import tensorflow as tf

    class Normal(tf.Module):
        def __init__(self):
            self.mean = tf.Variable([0.0, 0.0])
            self.deviation = tf.Variable([0.0, 0.0])

        def log_density(self, x, y):
            mean = self.mean[0] + self.mean[1] * x
            deviation = tf.nn.softplus(self.deviation[0] + self.deviation[1] * x)
            return -(((y - mean) / deviation) ** 2) / 2 - tf.math.log(deviation)

    with ctx.strategy.scope():
        model = Normal()

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_sum(model.log_density(x, y)) / ROWS
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        replicas = tf.distribute.get_replica_context()
        for variable, gradient in zip(
            variables, replicas.all_reduce("SUM", gradients), strict=True
        ):
            variable.assign_sub(0.3 * gradient)
        return loss

    @tf.function
    def train(batch):
        return ctx.strategy.reduce("SUM", ctx.strategy.run(step, batch), axis=None)

    rows = ctx.dataset(batch_size=ROWS // ctx.num_workers, features="x", label="y")
    losses = [float(train(batch)) for _ in range(EPOCHS) for batch in rows]
    checkpoint = tf.train.Checkpoint(model=model)
    restored = Normal()
    tf.train.Checkpoint(model=restored).read(checkpoint.write(f"{args}-{ctx.rank}/model"))
    return losses, [variable.numpy() for variable in restored.trainable_variables]


@pytest.mark.full
def test_nodes_estimate_what_one_does(spark, tmp_path):
    points = spark.range(ROWS, numPartitions=3).selectExpr(
        "float(id / 120 - 1) x",
        "float(3 * (id / 120 - 1) + 1 + if(id % 2 = 0, 1, -1) * (1 + id / 240)) y",
    )
    found = {
        nodes: tsm.run(
            estimate, str(tmp_path / str(nodes)), spark=spark, data=points, num_workers=nodes
        )
        for nodes in (1, 2)
    }
    ((losses, weights),) = found[1]
    assert len(losses) == EPOCHS and losses[-1] < losses[0] - 0.5
    for others, estimated in found[2]:
        np.testing.assert_allclose(others, losses, rtol=1e-4)
        np.testing.assert_allclose(estimated, weights, rtol=1e-4, atol=1e-5)
