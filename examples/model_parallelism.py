"""Model parallelism: a layer that is cut in two, of which each node holds and trains one half.

    python examples/model_parallelism.py
    spark-submit --master spark://host:7077 examples/model_parallelism.py

DTensor finds the other nodes by itself, as the library has set its environment. Both nodes go
through the same rows; each computes the hidden units that it holds, and the output's sums meet.
"""

from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

DATA = Path(__file__).resolve().parent / "data"
UNITS = 2048


def main(args, ctx):
    import numpy as np
    import pyarrow.parquet as pq
    import tensorflow as tf
    from tensorflow.experimental import dtensor

    dtensor.initialize_accelerator_system("CPU")
    mesh = dtensor.create_distributed_mesh([("model", ctx.num_workers)], device_type="CPU")
    everywhere = [dtensor.Layout.replicated(mesh, rank) for rank in range(3)]
    columns = dtensor.Layout([dtensor.UNSHARDED, "model"], mesh)
    rows = dtensor.Layout(["model", dtensor.UNSHARDED], mesh)

    def variable(layout, *shape):
        normal = tf.function(tf.random.stateless_normal)
        values = dtensor.call_with_layout(
            normal, layout, shape, seed=(1, 1), stddev=(2 / shape[0]) ** 0.5
        )
        return dtensor.DVariable(values)

    hidden = variable(columns, 784, UNITS)  # a node holds half of its columns
    output = variable(rows, UNITS, 10)  # and half of the rows here

    def logits(x):
        return tf.matmul(tf.nn.relu(tf.matmul(x, hidden)), output)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            cross_entropy = -tf.reduce_sum(y * tf.nn.log_softmax(logits(x)), axis=1)
            loss = tf.reduce_mean(cross_entropy)
        of_hidden, of_output = tape.gradient(loss, (hidden, output))
        hidden.assign_sub(0.1 * of_hidden)
        output.assign_sub(0.1 * of_output)
        return loss

    @tf.function
    def count_correct(x, y):
        hits = tf.equal(tf.argmax(logits(x), axis=1), tf.argmax(y, axis=1))
        return tf.reduce_sum(tf.cast(hits, tf.float32))

    def batches(name, size):
        table = pq.read_table(DATA / name)
        x = np.stack(table["image"].to_numpy()).astype(np.float32) / 255
        y = np.eye(10, dtype=np.float32)[table["label"].to_numpy()]
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            yield [dtensor.copy_to_mesh(array[part], everywhere[2]) for array in (x, y)]

    def number(tensor):
        return float(dtensor.unpack(dtensor.relayout(tensor, everywhere[0]))[0])

    losses = [number(step(x, y)) for x, y in batches("mnist_train.parquet", 100)]
    correct = sum(number(count_correct(x, y)) for x, y in batches("mnist_test.parquet", 500))
    held = dtensor.unpack(hidden.read_value())[0].shape.as_list()
    return {"loss": (losses[0], losses[-1]), "accuracy": correct / 2000, "held": held}


if __name__ == "__main__":
    start_spark("model parallelism")
    results = tsm.run(main, num_workers=2)
    print(f"hidden layer   [784, {UNITS}]")
    for rank, result in enumerate(results):
        print(f"node {rank} holds   {result['held']}")
    print("loss           {:.3f} at first, {:.3f} at last".format(*results[0]["loss"]))
    print(f"test accuracy  {results[0]['accuracy']:.3f}")
