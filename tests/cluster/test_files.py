"""Nodes that read files themselves: each row once, in equal numbers of batches, without Spark."""

import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tensorsparkml as tsm

ROWS = 1003


@pytest.fixture
def table(spark, tmp_path):
    """A folder as Spark writes it: seven files, one with most of the rows, and some empty."""
    rows = spark.sparkContext.parallelize(range(7), 7).mapPartitionsWithIndex(
        lambda index, _: ((number, float(number)) for number in PARTITIONS.get(index, []))
    )
    path = tmp_path / "table"
    spark.createDataFrame(rows, "id long, x float").write.parquet(str(path))
    return str(path)


PARTITIONS = {0: range(900), 3: range(900, 1000), 5: range(1000, ROWS)}


def local_batches(ctx, dataset, column="id"):
    local = ctx.strategy.experimental_local_results
    return [local(batch[column])[0].numpy().tolist() for batch in dataset]


def check(results, rows=ROWS):
    """Each row on one node, shares that are even, and equal numbers of batches."""
    ids = [list(itertools.chain(*batches)) for batches in results]
    assert sorted(itertools.chain(*ids)) == list(range(rows))
    assert max(map(len, ids)) - min(map(len, ids)) <= 1
    assert len({len(batches) for batches in results}) == 1


def write_tfrecords(args, ctx):
    """Five files of different sizes, two of them compressed."""
    import tensorflow as tf

    start = 0
    for number, rows in enumerate([1, 700, 0, 201, 101]):
        packed = number in (1, 4)
        path = f"{args}/{number}.tfrecord{'.gz' if packed else ''}"
        with tf.io.TFRecordWriter(path, "GZIP" if packed else "") as writer:
            for row in range(start, start + rows):
                value = tf.train.Feature(int64_list=tf.train.Int64List(value=[row]))
                features = tf.train.Features(feature={"id": value})
                writer.write(tf.train.Example(features=features).SerializeToString())
        start += rows


@pytest.fixture(scope="module")
def tfrecords(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfrecords")
    tsm.run(write_tfrecords, str(folder), spark=spark)
    return folder


def read_files(args, ctx):
    """Two passes over each kind of files, the shuffled ones once more."""
    shuffled = {"batch_size": 50, "shuffle": True, "seed": 3, "shuffle_rows": 100}
    datasets = {
        "parquet": ctx.read_parquet(args["table"], columns=["id"], batch_size=64),
        "shuffled": ctx.read_parquet(f"file://{args['table']}", **shuffled),
        "shuffled alike": ctx.read_parquet(args["table"], **shuffled),
        "tfrecords": ctx.read_tfrecord(args["tfrecords"], batch_size=64, shuffle=True),
    }
    return {
        name: [local_batches(ctx, dataset) for _ in range(2)] for name, dataset in datasets.items()
    }


@pytest.mark.parametrize(
    "nodes", [pytest.param(1, marks=pytest.mark.full), 2, pytest.param(3, marks=pytest.mark.full)]
)
def test_each_row_once_in_every_pass(spark, table, tfrecords, nodes):
    args = {"table": table, "tfrecords": str(tfrecords)}
    results = tsm.run(read_files, args, spark=spark, num_workers=nodes)
    for name in results[0]:
        for number in range(2):
            check([found[name][number] for found in results])
    for found in results:
        first, second = found["parquet"]
        assert first == second
        first, second = found["shuffled"]
        assert first != second
        assert found["shuffled"] == found["shuffled alike"]


def read_feed(args, ctx):
    """What `train` gave, as a `DataFeed`."""
    feed, batches = ctx.feed(columns=["id"]), []
    while not feed.should_stop():
        batches.append(feed.next_batch(64)["id"].tolist())
    return batches


def read_dataset(args, ctx):
    return local_batches(ctx, ctx.dataset(batch_size=64))


@pytest.mark.parametrize("main", [read_feed, read_dataset])
def test_a_uri_takes_the_place_of_a_dataframe(spark, table, main):
    with tsm.Cluster(main, spark=spark, num_workers=2, fed=False) as cluster:
        report = cluster.train(table)
    assert report == tsm.FeedReport(ROWS, (502, 501), rows_read=ROWS, complete=True)
    check(cluster.results)


def test_a_uri_as_data_of_run(spark, table):
    check(tsm.run(read_feed, spark=spark, num_workers=2, data=table))
    twice = tsm.run(read_feed, spark=spark, data=[table], epochs=2)
    assert sorted(itertools.chain(*twice[0])) == sorted([*range(ROWS)] * 2)


def read_tfrecord(args, ctx):
    return local_batches(ctx, ctx.read_tfrecord(args, batch_size=64))


def test_a_corrupt_record(spark, tfrecords, tmp_path):
    damaged = tmp_path / "3.tfrecord"
    data = bytearray((tfrecords / "3.tfrecord").read_bytes())
    data[-5] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(tsm.errors.DataError, match=r"3.tfrecord is corrupt at record 200 "):
        tsm.run(read_tfrecord, str(tmp_path), spark=spark, num_workers=2)


def fit(args, ctx):
    """From the files, and then from the feed of them."""
    import keras

    columns = {"batch_size": 64, "features": "x", "label": "y"}

    def train(data, validation=None):
        keras.utils.set_random_seed(1)
        with ctx.strategy.scope():
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            model.compile(keras.optimizers.SGD(1e-7), "mse")
        return model.fit(
            data, validation_data=validation, epochs=2, verbose=0, callbacks=ctx.callbacks()
        ).history

    of_files = train(ctx.read_parquet(args, **columns))
    return of_files, train(ctx.dataset(**columns), ctx.dataset("validation", **columns))


@pytest.mark.full
@pytest.mark.parametrize("nodes", [1, 2])
def test_fit(spark, tmp_path, nodes):
    path = str(tmp_path / "train.parquet")
    x = [float(n % 17) for n in range(ROWS)]
    rows = pa.table({"x": pa.array(x, pa.float32()), "y": pa.array(x, pa.float32())})
    pq.write_table(rows, path, row_group_size=100)
    with tsm.Cluster(fit, path, spark=spark, num_workers=nodes) as cluster:
        report = cluster.train(path, validation=path, epochs=2)
    assert report.rows == ROWS and report.complete
    losses = [of_files["loss"] for of_files, _ in cluster.results]
    assert len(losses[0]) == 2 and losses[0][1] < losses[0][0]
    assert all(other == losses[0] for other in losses)
    _, of_feed = cluster.results[0]
    assert of_feed["loss"] == pytest.approx(losses[0])
    assert len(of_feed["val_loss"]) == 2


def open_on_chief_only(args, ctx):
    if ctx.is_chief:
        ctx.read_parquet(args, batch_size=1)


def test_a_node_that_opens_files_alone(spark, table):
    with pytest.raises(tsm.errors.ConfigurationError, match="worker:0 ended without opening"):
        tsm.run(open_on_chief_only, table, spark=spark, num_workers=2)


def test_errors_reach_the_driver(spark, tmp_path):
    with pytest.raises(tsm.errors.DataError, match=r"there are no files at .*nowhere"):
        tsm.run(read_feed, spark=spark, num_workers=2, data=str(tmp_path / "nowhere"))
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({"id": [1]}), path)
    with pytest.raises(tsm.errors.EmptyFeedError, match=r"one.parquet has 1 row for 2 nodes"):
        tsm.run(read_dataset, spark=spark, num_workers=2, data=str(path))
    with pytest.raises(tsm.errors.ConfigurationError, match="TFRecord"):
        tsm.run(read_feed, spark=spark, data="rows.tfrecord.gz")
