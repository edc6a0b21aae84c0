"""Parameter servers: embeddings of airports and airlines, trained asynchronously.

    python examples/parameter_servers.py
    spark-submit --master spark://host:7077 examples/parameter_servers.py

The model learns how long flights take from what is on the ticket: two airports, an airline and a
month. Its table of embeddings is cut over two parameter servers; each step fetches and changes
the few rows that its batch needs. Spark makes the words' places in the table, and each worker
goes through its share of the flights without waiting for any other.
"""

from pathlib import Path

import numpy as np
from session import start_spark

import tensorsparkml as tsm

FLIGHTS = Path(__file__).resolve().parent / "data" / "flights.csv.gz"
BUCKETS, WIDTH, WORDS = 1024, 8, 4  # words share the table by their hashes


def main(args, ctx):
    import tensorflow as tf

    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(
        min_shard_bytes=16 << 10, max_shards=ctx.num_ps
    )
    with ctx.parameter_server_strategy(partitioner).scope():
        table = tf.Variable(tf.random.stateless_normal([BUCKETS, WIDTH], (1, 1), 0.0, 0.3))
        dense = [
            tf.Variable(tf.random.stateless_normal([inputs, outputs], (2, 2), 0.0, inputs**-0.5))
            for inputs, outputs in ((WORDS * WIDTH, 32), (32, 1))
        ]

        rate = tf.Variable(1.0)  # of learning, halved with every epoch

    def errors(words, hours):
        x = tf.reshape(tf.nn.embedding_lookup(table, words), [-1, WORDS * WIDTH])
        return tf.matmul(tf.nn.relu(tf.matmul(x, dense[0])), dense[1])[:, 0] - hours

    def step(batch):
        weights = [*table.variables, *dense]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(errors(*batch) ** 2)
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            if isinstance(gradient, tf.IndexedSlices):  # of the rows that the batch needs
                variable.scatter_sub(
                    tf.IndexedSlices(0.1 * rate * gradient.values, gradient.indices)
                )
            else:
                variable.assign_sub(0.01 * rate * gradient)
        return {"rows": tf.shape(batch[0])[0]}

    passes = ctx.asynchronous_passes(
        step, lambda: ctx.dataset(batch_size=100, features="words", label="hours")
    )
    minutes = []
    for _ in range(args["epochs"]):
        rows = passes.run()["rows"]
        rate.assign(rate / 2)
        minutes.append(60 * float(tf.reduce_mean(tf.abs(errors(*args["test"])))))
    return {
        "rows": int(rows),
        "minutes": minutes,
        "devices": [shard.device.partition("/device")[0] for shard in table.variables],
    }


if __name__ == "__main__":
    spark = start_spark("parameter servers")
    texts = ["'month' || month", "'by' || carrier", "'from' || origin", "'to' || dest"]
    words = ", ".join(f"int(pmod(xxhash64({text}), {BUCKETS}))" for text in texts)
    flights = spark.read.csv(f"file://{FLIGHTS}", header=True, inferSchema=True).selectExpr(
        f"array({words}) words", "float(air_time / 60) hours", "pmod(xxhash64(*), 6) = 0 held_out"
    )
    held_out = flights.where("held_out").collect()
    test = np.array([row.words for row in held_out]), np.float32([row.hours for row in held_out])
    # A chief, a worker and two parameter servers: four task slots. More slots allow more workers.
    [result] = tsm.run(
        main,
        {"epochs": 5, "test": test},
        data=flights.where("not held_out"),
        num_workers=2,
        num_ps=2,
        shuffle=True,
    )
    print("the table's parts are on", *result["devices"])
    print("flights of an epoch:", result["rows"])
    for epoch, minutes in enumerate(result["minutes"], 1):
        print(f"after epoch {epoch}: off by {minutes:.1f} minutes")
