"""One tensor over several nodes, which DTensor finds by the environment of the trainers alone."""

import numpy as np
import pytest

import tensorsparkml as tsm

INPUTS, UNITS = 6, 8


def shard_a_layer(args, ctx):
    """A dense layer whose units lie on all nodes, trained for a few steps."""
    import tensorflow as tf
    from tensorflow.experimental import dtensor

    dtensor.initialize_accelerator_system("CPU")
    mesh = dtensor.create_distributed_mesh([("model", ctx.num_workers)], device_type="CPU")
    by_unit = dtensor.Layout([dtensor.UNSHARDED, "model"], mesh)
    whole = dtensor.Layout.replicated(mesh, rank=2)
    weights = dtensor.DVariable(dtensor.call_with_layout(tf.ones, by_unit, [INPUTS, UNITS]))
    rows = np.linspace(-1, 1, 5 * INPUTS).reshape(5, INPUTS).astype(np.float32)
    x = dtensor.copy_to_mesh(tf.constant(rows), whole)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.matmul(x, weights) ** 2)
        weights.assign_sub(0.1 * tape.gradient(loss, weights))
        return loss

    losses = []
    for _ in range(3):
        loss = dtensor.relayout(step(x), dtensor.Layout.replicated(mesh, rank=0))
        losses.append(float(dtensor.unpack(loss)[0]))
    return [shard.shape.as_list() for shard in dtensor.unpack(weights.read_value())], losses


@pytest.mark.full
def test_a_layer_is_sharded_over_the_nodes(spark):
    (shards, losses), other = tsm.run(shard_a_layer, spark=spark, num_workers=2)
    assert shards == [[INPUTS, UNITS // 2]]  # this node's part
    assert other == (shards, losses)

    weights = np.ones((INPUTS, UNITS), np.float32)
    x = np.linspace(-1, 1, 5 * INPUTS).reshape(5, INPUTS).astype(np.float32)
    expected = []
    for _ in range(3):
        y = x @ weights
        expected.append(np.mean(y**2))
        weights -= 0.1 * (x.T @ (2 * y / y.size))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
