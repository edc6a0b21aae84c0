"""Every row reaches exactly one node, once per pass, however the partitions are sized."""

import itertools

import pytest

import tensorsparkml as tsm

ROWS = 1003


def partitioned(spark, partitions):
    """`ROWS` ids in so many partitions: one holds 90 % of them, and most others none."""
    most = ROWS * 9 // 10 if partitions > 1 else ROWS
    ids = {0: range(most), 1: range(most, ROWS)}
    rows = spark.sparkContext.parallelize(range(partitions), partitions).mapPartitionsWithIndex(
        lambda index, _: ((number,) for number in ids.get(index, []))
    )
    assert rows.getNumPartitions() == partitions
    return spark.createDataFrame(rows, "id long")


def read_feeds(args, ctx):
    """Return, by feed, the ids and the number of batches of each pass."""
    found = {}
    for name, passes, batch_size in args:
        feed = ctx.feed(name)
        batches = []
        while not feed.should_stop():
            batches.append([int(number) for number in feed.next_batch(batch_size)["id"]])
        per_pass = len(batches) // passes
        found[name] = [
            (list(itertools.chain(*part)), len(part))
            for part in (batches[n * per_pass : (n + 1) * per_pass] for n in range(passes))
        ]
    return found


def check(results, name, passes, rows=ROWS):
    for number in range(passes):
        ids = [result[name][number][0] for result in results]
        assert sorted(itertools.chain(*ids)) == list(range(rows))
        sizes = [len(part) for part in ids]
        assert max(sizes) - min(sizes) <= 1
        assert len({result[name][number][1] for result in results}) == 1


@pytest.mark.parametrize("nodes", [pytest.param(2, marks=pytest.mark.full), 3])
def test_feeding_jobs(spark, nodes):
    feeds = [(f"{partitions} partitions", partitions) for partitions in (1, 3, 7)]
    args = [(name, 2, 16 + partitions) for name, partitions in feeds]
    with tsm.Cluster(read_feeds, args, spark=spark, num_workers=nodes) as cluster:
        for name, partitions in feeds:
            report = cluster.train(partitioned(spark, partitions), epochs=2, feed=name)
            assert report.rows == ROWS
            assert report.complete
            assert sum(report.rows_per_node) == ROWS
    for name, _ in feeds:
        check(cluster.results, name, passes=2)


@pytest.mark.parametrize("nodes", [1, pytest.param(2, marks=pytest.mark.full), 3])
def test_direct_feed(spark, nodes):
    results = tsm.run(
        read_feeds,
        [("train", 3, 32)],
        spark=spark,
        num_workers=nodes,
        data=partitioned(spark, 7),
        epochs=3,
    )
    check(results, "train", passes=3)


def read_dataset(args, ctx):
    passes = []
    dataset = ctx.dataset(batch_size=args["batch_size"], features="id")
    for _ in range(2):
        batches = [ctx.strategy.experimental_local_results(batch)[0].numpy() for batch in dataset]
        passes.append((list(itertools.chain(*(b.tolist() for b in batches))), len(batches)))
    return {"train": passes}


@pytest.mark.parametrize("nodes", [pytest.param(1, marks=pytest.mark.full), 2])
def test_dataset(spark, nodes):
    results = tsm.run(
        read_dataset,
        {"batch_size": 50},
        spark=spark,
        num_workers=nodes,
        data=partitioned(spark, 3),
    )
    check(results, "train", passes=2)
    # The rows of a node come in the same order on every pass.
    assert all(result["train"][0] == result["train"][1] for result in results)


def test_fewer_rows_than_nodes(spark):
    with pytest.raises(tsm.errors.EmptyFeedError, match="1 row for 2 nodes"):
        tsm.run(read_dataset, {"batch_size": 50}, spark=spark, num_workers=2, data=spark.range(1))


@pytest.mark.parametrize("rows", ["none", "filtered"])
def test_no_rows(spark, rows):
    data = spark.range(0) if rows == "none" else spark.range(10).where("id % 2 > 5")
    results = tsm.run(read_feeds, [("train", 1, 8)], spark=spark, num_workers=2, data=data)
    check(results, "train", passes=1, rows=0)


def stop_early(args, ctx):
    feed = ctx.feed()
    feed.next_batch(10)
    feed.terminate()
    assert feed.should_stop()
    assert feed.next_batch(10) == {}
    return ctx.rank


def test_program_that_stops_early_ends_the_feeding_job(spark):
    with tsm.Cluster(stop_early, spark=spark, num_workers=2) as cluster:
        # The first partition commits at once, so the nodes have rows; the others take forever.
        slow = spark.range(0, 10**13, 10**11, 100).selectExpr(
            "if(spark_partition_id() = 0, id, "
            "aggregate(sequence(0L, 3000000L), id, (total, x) -> (total * 31 + x) % 1000003)) id"
        )
        report = cluster.train(slow)
    assert not report.complete
    assert cluster.results == [0, 1]


def ignore_feed(args, ctx):
    return ctx.num_workers


def test_program_that_never_reads_its_feed(spark):
    with tsm.Cluster(ignore_feed, spark=spark, num_workers=2) as cluster:
        cluster.train(spark.range(1000))
    assert cluster.results == [2, 2]


def read_both(args, ctx):
    # The first rows of both feeds are needed before the first step.
    train, validation = (
        ctx.dataset(name, batch_size=10, features="id") for name in ("train", "validation")
    )
    return [sum(len(batch) for batch in part) for part in (train, validation, validation)]


def test_validation_rows_beside_the_feed(spark):
    with tsm.Cluster(read_both, spark=spark) as cluster:
        report = cluster.train(spark.range(100), validation=spark.range(30))
    assert report.rows == 100
    assert cluster.results == [[100, 30, 30]]


def count_rows(args, ctx):
    counts = {}
    for name in args:
        feed, counts[name] = ctx.feed(name), 0
        while not feed.should_stop():
            counts[name] += len(feed.next_batch(10).get("id", []))
    return counts


def test_any_feeds_by_name_and_their_reports(spark, tmp_path):
    path = str(tmp_path / "rows.parquet")
    spark.range(12).write.parquet(path)
    feeds = {"train": spark.range(20), "test": path, "few": spark.sparkContext.range(0, 4, 1, 2)}
    found = tsm.run(
        count_rows,
        ["few", "train", "test"],
        spark=spark,
        num_workers=2,
        packages=(),
        datasets={**feeds, "few": feeds["few"].map(lambda number: {"id": number})},
        epochs=2,
    )
    assert found == [{"few": 2, "train": 20, "test": 6}] * 2
    rows = {name: (report.rows, report.rows_read) for name, report in found.reports.items()}
    assert rows == {"train": (20, 40), "few": (4, 4), "test": (12, 12)}
    assert all(report.complete for report in found.reports.values())


def test_a_report_of_rows_that_the_launch_tasks_deliver(spark):
    found = tsm.run(
        count_rows, ["train"], spark=spark, data=spark.range(7), num_workers=2, packages=()
    )
    assert sorted(each["train"] for each in found) == [3, 4]
    report = found.reports["train"]
    assert (report.rows, report.rows_read, report.complete) == (7, 7, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"datasets": {"a": "x"}, "data": "x"}, "leave out data=… and validation=…"),
        ({"datasets": {"a": "x"}, "validation": "x"}, "leave out data=… and validation=…"),
        ({"validation": "x"}, "pass data=…"),
        ({"datasets": {"test": "x"}, "epochs": 2}, "are for the feed 'train'"),
        ({"seed": 3}, "are for the feed 'train'"),
    ],
)
def test_feeds_that_do_not_fit_together(spark, arguments, message):
    with pytest.raises(tsm.errors.ConfigurationError, match=message):
        tsm.run(count_rows, [], spark=spark, **arguments)
