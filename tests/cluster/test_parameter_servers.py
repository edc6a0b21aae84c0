"""Parameter servers: fed DataFrames and files reach the steps that workers run."""

import numpy as np
import pytest

import tensorsparkml as tsm
from tensorsparkml import errors

ROWS = 1000


@pytest.fixture
def table(spark):
    return spark.range(ROWS, numPartitions=5).selectExpr(
        "id",
        "cast(id / 500 - 1 as float) as x",
        "cast(3 * (id / 500 - 1) + 1 as float) as y",
        "array_repeat(cast(id as int), cast(id % 3 as int)) as many",
        "concat('row ', id) as name",
    )


def read_rows(args, ctx):
    """Read two passes of a fed DataFrame, and tell which worker's step had which rows."""
    import tensorflow as tf

    strategy = ctx.strategy
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    dataset = coordinator.create_per_worker_dataset(
        lambda: ctx.dataset(
            batch_size=64,
            features={"many": "many", "name": "name", "x": "x"},
            label=["id", "y"],
            convert={"many": tsm.Column(shape=(None,))},
        ).map(lambda x, y: (x["many"].to_tensor(shape=[None, 2]), x["name"], x["x"], y))
    )

    @tf.function
    def step(iterator):
        optional = iterator.get_next_as_optional()
        if not optional.has_value():
            empty = tf.zeros([0])
            return False, tf.zeros([0, 2], tf.int32), tf.zeros([0], tf.string), empty, empty
        many, name, x, (ids, y) = optional.get_value()
        return True, many, name, x, tf.cast(ids, tf.float32)

    found = []
    for _ in range(2):
        iterator = iter(dataset)
        rows = []
        while True:
            results = [coordinator.schedule(step, args=(iterator,)) for _ in range(4)]
            fetched = [result.fetch() for result in results]
            rows += [part[1:] for part in fetched if part[0]]
            if not any(part[0] for part in fetched):
                break
        found.append([np.concatenate(column) for column in zip(*rows, strict=True)])
    return found


def test_every_row_of_a_dataframe_reaches_one_step_of_a_worker_in_each_pass(spark, table):
    with tsm.Cluster(read_rows, spark=spark, num_workers=3, num_ps=1) as cluster:
        cluster.train(table, epochs=2)
    (passes,) = cluster.results
    for many, names, x, ids in passes:
        order = np.argsort(ids)
        assert ids[order].astype(int).tolist() == list(range(ROWS))
        assert [name.decode() for name in names[order]] == [f"row {row}" for row in range(ROWS)]
        assert x[order] == pytest.approx(np.arange(ROWS) / 500 - 1)
        assert many[order].tolist() == [
            [row] * (row % 3) + [0] * (2 - row % 3) for row in range(ROWS)
        ]
