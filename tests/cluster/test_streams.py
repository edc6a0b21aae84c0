"""Streams feed the nodes until they end or are stopped, each row once."""

import itertools
import threading
from pathlib import Path

import pytest
from node_processes import wait_until
from pyspark.sql import functions as F

import tensorsparkml as tsm
from tensorsparkml import errors
from tensorsparkml.control.feeds.feed_ledger import FeedLedger
from tensorsparkml.driver.feeds.delivery import OpenFeed
from tensorsparkml.driver.feeds.sources import row_source
from tensorsparkml.driver.spark.failures import interruption

SECONDS = 300.0  # which only a hang needs


@pytest.fixture(autouse=True)
def no_stream_left(spark):
    yield
    assert not spark.streams.active


class Folder:
    """A folder of files of numbers, and the stream of what is put there."""

    def __init__(self, spark, path: Path) -> None:
        self._spark = spark
        self._path = path
        self._files = itertools.count()
        self.checkpoint = str(path / "checkpoint")
        (path / "staged").mkdir()
        (path / "rows").mkdir()

    def add(self, numbers) -> None:
        name = f"{next(self._files):05d}.txt"
        staged = self._path / "staged" / name
        staged.write_text("".join(f"{number}\n" for number in numbers))
        staged.rename(self._path / "rows" / name)

    def stream(self):
        stream = self._spark.readStream.option("maxFilesPerTrigger", 1)
        return stream.text(str(self._path / "rows")).selectExpr("cast(value as long) id")

    def writer(self):
        return self.stream().writeStream.option("checkpointLocation", self.checkpoint)


@pytest.fixture
def folder(spark, tmp_path):
    return Folder(spark, tmp_path)


def read_ids(args, ctx):
    feed, ids = ctx.feed(args or "train"), []
    while not feed.should_stop():
        ids += feed.next_batch(10)["id"].tolist()
    return ids


def all_ids(cluster):
    sizes = [len(ids) for ids in cluster.results]
    assert max(sizes) - min(sizes) <= 1
    return sorted(itertools.chain(*cluster.results))


def test_everything_that_is_available(spark, folder):
    for start in range(0, 300, 100):
        folder.add(range(start, start + 100))
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster:
        stream = cluster.train_stream(folder.writer().trigger(availableNow=True))
        # Another feed may be fed beside it.
        assert cluster.train(spark.range(5), feed="other", epochs=1).rows == 5
    assert all_ids(cluster) == list(range(300))
    assert not stream.active
    assert stream.report == tsm.FeedReport(300, (150, 150), rows_read=300, complete=True)
    assert stream.query.lastProgress["batchId"] == 2
    assert stream.wait(0.1)


def count_rows(args, ctx):
    """Train while rows come; tell how many have been read."""
    feed, ids = ctx.feed(), []
    while not feed.should_stop():
        ids += feed.next_batch(5)["id"].tolist()
        Path(args, f"{ctx.rank}-{len(ids)}").touch()
    return ids


def test_rows_come_while_it_runs_until_it_is_stopped(spark, folder, tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()

    def read(rows):
        return lambda: all((seen / f"{rank}-{rows}").exists() for rank in range(2))

    folder.add(range(20))
    with tsm.Cluster(count_rows, str(seen), spark=spark, num_workers=2) as cluster:
        stream = cluster.train_stream(folder.writer())
        # Ten rows on each node: two batches, one of which is held back with its last row.
        assert wait_until(read(5), SECONDS)
        assert not stream.wait(0.1)
        folder.add(range(20, 40))
        assert wait_until(read(15), SECONDS)
        assert not read(20)()
        assert stream.active
        threading.Thread(target=stream.stop).start()
    assert all_ids(cluster) == list(range(40))
    assert stream.report == tsm.FeedReport(40, (20, 20), rows_read=40, complete=True)


def test_a_stop_in_the_middle_loses_and_repeats_no_row(spark, folder):
    for start in range(0, 600, 20):
        folder.add(range(start, start + 20))
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as first:
        stream = first.train_stream(folder.writer())
        assert wait_until(lambda: stream.report.rows >= 60, SECONDS)
        stream.stop()
        assert not stream.active
        assert stream.report.complete
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as second:
        second.train_stream(folder.writer().trigger(availableNow=True))
    early, late = all_ids(first), all_ids(second)
    assert 60 <= len(early) < 600
    assert sorted(early + late) == list(range(600))


def test_a_query_that_is_stopped_directly(spark, folder):
    folder.add(range(100))
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster:
        stream = cluster.train_stream(folder.stream())
        stream.query.processAllAvailable()
        stream.query.stop()
    assert all_ids(cluster) == list(range(100))


@pytest.mark.full
def test_a_query_that_is_stopped_directly_in_the_middle_of_a_micro_batch(spark, folder, tmp_path):
    entered = str(tmp_path / "entered")

    def wait(number):
        Path(entered).touch()
        threading.Event().wait()

    folder.add(range(10))
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster:
        waiting = folder.stream().select(F.udf(wait, "long")("id").alias("id"))
        stream = cluster.train_stream(waiting)
        assert wait_until(Path(entered).exists, SECONDS)
        stream.query.stop()
    assert all_ids(cluster) == []


def test_spark_knows_the_text_of_an_interruption(spark):
    text = "An error occurred while calling o1.collectToPython.\n: java.lang.InterruptedException"
    execution = spark._jvm.org.apache.spark.sql.execution.streaming.runtime.StreamExecution
    pattern = execution.PROXY_ERROR()
    assert pattern.findFirstIn(interruption(RuntimeError(text))).isDefined()
    assert not pattern.findFirstIn("Spark could not deliver feed 'train'").isDefined()


def test_a_micro_batch_that_is_repeated_counts_once(spark):
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster:
        running = cluster._require_running()
        feed = OpenFeed(running.coordinator, running.plan, FeedLedger("train", 2))
        outcomes = []
        for batch, rows in ((0, 10), (1, 20), (1, 20), (2, 5)):
            data = spark.range(100 * batch, 100 * batch + rows, 1, 3)
            feed.job(row_source(data), outcomes.append, part=str(batch)).run()
        feed.close()
        assert outcomes == [None] * 4
    assert all_ids(cluster) == [*range(10), *range(100, 120), *range(200, 205)]


def fit(args, ctx):
    import keras

    with ctx.strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")

    class StopAfter(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch + 1 == args

    convert = {"x": tsm.Column(shape=(1,))}
    data = ctx.dataset(batch_size=10, features="x", label="y", convert=convert)
    model.fit(data, callbacks=[StopAfter()], verbose=0)
    return int(model.optimizer.iterations.numpy())


@pytest.mark.full
@pytest.mark.parametrize(("stop_after", "steps"), [(None, 5), (2, 2)])
def test_keras_fits_a_stream(spark, folder, stop_after, steps):
    for start in range(0, 100, 20):
        folder.add(range(start, start + 20))
    rows = folder.stream().selectExpr("float(id / 100) x", "float(id / 50) y")
    writer = rows.writeStream if stop_after else rows.writeStream.trigger(availableNow=True)
    with tsm.Cluster(fit, stop_after, spark=spark, num_workers=2) as cluster:
        cluster.train_stream(writer)
    assert cluster.results == [steps, steps]


def leave_early(args, ctx):
    feed = ctx.feed()
    ids = feed.next_batch(3)["id"].tolist()
    if args:
        feed.terminate()
        feed.next_batch(3)
    return ids


@pytest.mark.parametrize("terminates", [True, False])
def test_programs_that_end_stop_the_query(spark, folder, terminates):
    folder.add(range(100))
    with tsm.Cluster(leave_early, terminates, spark=spark, num_workers=2) as cluster:
        stream = cluster.train_stream(folder.stream())
    assert not stream.active
    assert not stream.report.complete
    assert [len(ids) for ids in cluster.results] == [3, 3]


def test_programs_that_end_cancel_a_micro_batch(spark):
    slow = (
        spark.readStream.format("rate-micro-batch")
        .option("rowsPerBatch", 2000)
        .option("numPartitions", 10)
        .load()
        .selectExpr(
            # Only the first partition can be computed in a lifetime.
            "if(value % 10 = 0, value, aggregate("
            "sequence(value, value + 3000000), value, (a, x) -> (a * 31 + x) % 1000003)) id"
        )
    )
    with tsm.Cluster(leave_early, True, spark=spark, num_workers=2) as cluster:
        stream = cluster.train_stream(slow)
    assert not stream.report.complete


def test_an_exception_in_the_stream(spark, folder):
    folder.add(range(10))
    folder.add(["no number"])
    with (
        pytest.raises(errors.FeedError, match="CAST_INVALID_INPUT"),
        tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster,
    ):
        cluster.train_stream(folder.stream())


@pytest.mark.full
def test_an_exception_of_the_source(spark, tmp_path):
    rows = tmp_path / "rows"
    spark.range(10).write.parquet(str(rows))
    stream = spark.readStream.schema("id long").parquet(str(rows))
    for file in rows.glob("*.parquet"):
        file.write_text("no parquet")
    with (
        pytest.raises(errors.FeedError, match="feed 'train'"),
        tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster,
    ):
        feed = cluster.train_stream(stream)
        feed.wait()
    assert "is not a Parquet file" in str(feed.query.exception())
    assert "Py4JJavaError" not in str(feed.query.exception())


def fail_later(args, ctx):
    ctx.feed().next_batch(3)
    if ctx.rank == 1:
        raise KeyError("mine")
    threading.Event().wait()


def test_a_node_that_fails_stops_the_query(spark, folder):
    folder.add(range(100))
    with (
        pytest.raises(errors.MainError, match="KeyError: 'mine'"),
        tsm.Cluster(fail_later, spark=spark, num_workers=2) as cluster,
    ):
        cluster.train_stream(folder.stream()).wait()


def test_a_block_that_raises_stops_the_query(spark, folder):
    with (
        pytest.raises(ZeroDivisionError),
        tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster,
    ):
        stream = cluster.train_stream(folder.stream())
        raise ZeroDivisionError
    assert not stream.active


@pytest.mark.parametrize("kind", ["batch", "rdd"])
def test_what_is_no_stream(spark, kind):
    with (
        pytest.raises(errors.ConfigurationError, match=r"with cluster\.train"),
        tsm.Cluster(lambda args, ctx: None, spark=spark) as cluster,
    ):
        cluster.train_stream(
            spark.range(3) if kind == "batch" else spark.sparkContext.parallelize([1])
        )


def test_dstreams(spark):
    from pyspark.streaming import StreamingContext

    with pytest.warns(FutureWarning, match="DStream is deprecated"):
        context = StreamingContext(spark.sparkContext, 1)
    numbers = [spark.sparkContext.parallelize(range(n, n + 20), 2) for n in range(0, 100, 20)]
    with tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster:
        stream = cluster.train_stream(
            context.queueStream(numbers).map(lambda n: {"id": n}), columns=["id"]
        )
        context.start()
        assert wait_until(lambda: stream.report.rows == 100, SECONDS)
        stream.stop()
    assert all_ids(cluster) == list(range(100))
    assert stream.query is None


@pytest.mark.full
def test_an_exception_in_a_dstream(spark):
    from pyspark.streaming import StreamingContext

    with pytest.warns(FutureWarning, match="DStream is deprecated"):
        context = StreamingContext(spark.sparkContext, 1)
    numbers = [spark.sparkContext.parallelize([(1,), ("one",)], 1)]
    with (
        pytest.raises(errors.UnsupportedColumnError, match="'_1' of row 1 of partition 0"),
        tsm.Cluster(read_ids, spark=spark, num_workers=2) as cluster,
    ):
        cluster.train_stream(context.queueStream(numbers))
        context.start()
    assert StreamingContext.getActive() is None
