"""Parameter servers: embeddings of airports and airlines, trained asynchronously.

    python examples/parameter_servers.py
    spark-submit --master spark://host:7077 examples/parameter_servers.py

The model learns how long flights take from what is on the ticket: two airports, an airline and a
month. Its table of embeddings is cut over two parameter servers; each step fetches and changes
the few rows that its batch needs. Each worker reads the file itself, in an order of its own,
and waits for no other.
"""

from pathlib import Path

from session import start_spark

import tensorsparkml as tsm

FLIGHTS = Path(__file__).resolve().parent / "data" / "flights.csv.gz"
ROWS, TEST_ROWS, BATCH_SIZE = 12_000, 2_000, 100
BUCKETS, WIDTH = 1024, 8  # words share the table by their hashes


def main(args, ctx):
    import tensorflow as tf

    partitioners = tf.distribute.experimental.partitioners
    strategy = ctx.parameter_server_strategy(
        partitioners.MinSizePartitioner(min_shard_bytes=16 << 10, max_shards=ctx.num_ps)
    )
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        table = tf.Variable(tf.random.stateless_normal([BUCKETS, WIDTH], (1, 1), 0.0, 0.3))
        dense = [
            tf.Variable(tf.random.stateless_normal([inputs, outputs], (2, 2), 0.0, inputs**-0.5))
            for inputs, outputs in ((4 * WIDTH, 32), (32, 1))
        ]

    def words(month, carrier, origin, dest, air_time):
        words = tf.stack(["month " + month, "by " + carrier, "from " + origin, "to " + dest])
        return tf.strings.to_hash_bucket_fast(words, BUCKETS), air_time / 100

    def flights():
        kinds = [tf.string] * 4 + [tf.float32]
        rows = tf.data.experimental.CsvDataset(
            str(FLIGHTS), kinds, compression_type="GZIP", header=True, select_cols=[0, 3, 5, 6, 8]
        )
        return rows.map(words)

    def train_flights():
        return flights().skip(TEST_ROWS).shuffle(ROWS).repeat().batch(BATCH_SIZE)

    def error(ids, air_time):
        x = tf.reshape(tf.nn.embedding_lookup(table, ids), [-1, 4 * WIDTH])
        estimate = tf.matmul(tf.nn.relu(tf.matmul(x, dense[0])), dense[1])[:, 0]
        return tf.reduce_mean(tf.abs(estimate - air_time))

    @tf.function
    def step(iterator):
        ids, air_time = next(iterator)
        weights = [*table.variables, *dense]
        with tf.GradientTape() as tape:
            loss = error(ids, air_time)
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            if isinstance(gradient, tf.IndexedSlices):
                variable.scatter_sub(gradient)
            else:
                variable.assign_sub(0.03 * gradient)
        return loss

    [(ids, air_time)] = flights().take(TEST_ROWS).batch(TEST_ROWS)
    iterator = iter(coordinator.create_per_worker_dataset(train_flights))
    errors = [100 * float(error(ids, air_time))]
    for _ in range(args["epochs"]):
        for _ in range((ROWS - TEST_ROWS) // BATCH_SIZE):
            coordinator.schedule(step, args=(iterator,))
        coordinator.join()
        errors.append(100 * float(error(ids, air_time)))
    return [shard.device for shard in table.variables], errors


if __name__ == "__main__":
    start_spark("parameter servers")
    # A chief, a worker and two parameter servers: four task slots. More slots allow more workers.
    [(devices, errors)] = tsm.run(main, {"epochs": 5}, num_workers=2, num_ps=2)
    print("the table's parts are on", *(device.partition("/device")[0] for device in devices))
    for epoch, error in enumerate(errors):
        print(f"after epoch {epoch}: off by {error:.1f} minutes")
