"""Whatever rows and partitions: each row once a pass, equal batches, the values that Spark has."""

import datetime
import itertools
from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tensorsparkml as tsm
from tensorsparkml.errors import EmptyFeedError

pytestmark = pytest.mark.full
EPOCH = datetime.date(1970, 1, 1)
NAIVE = datetime.datetime(1970, 1, 1)
FLOATS = st.floats(-1e6, 1e6, width=32)

# By Spark's name of a type: values, and what a node gets for one.
TYPES = {
    "boolean": (st.booleans(), bool),
    "tinyint": (st.integers(-128, 127), int),
    "int": (st.integers(-(2**31), 2**31 - 1), int),
    "bigint": (st.integers(-(2**63), 2**63 - 1), int),
    "float": (FLOATS, float),
    "double": (st.floats(allow_nan=False), float),
    "string": (st.text(max_size=5), lambda text: text.encode()),
    "binary": (st.binary(max_size=5), bytes),
    "date": (st.dates(EPOCH, datetime.date(2100, 1, 1)), lambda day: (day - EPOCH).days),
    "array<float>": (st.lists(FLOATS, min_size=3, max_size=3), list),
    "array<array<int>>": (
        st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=2), min_size=2, max_size=2),
        list,
    ),
    "struct<a:int,b:double>": (
        st.tuples(st.integers(-9, 9), st.floats(-1, 1)),
        lambda pair: {"a": pair[0], "b": pair[1]},
    ),
}


@st.composite
def tables(draw):
    """Types of columns, and the rows of each partition."""
    types = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4))
    sizes = draw(st.lists(st.integers(0, 25), min_size=1, max_size=5))
    sizes.append(4)  # at least a row for every node
    ids = itertools.count()
    row = st.tuples(*(TYPES[name][0] for name in types))
    return types, [[(next(ids), *draw(row)) for _ in range(size)] for size in sizes]


def as_dataframe(spark, types, partitions):
    rows = spark.sparkContext.parallelize(range(len(partitions)), len(partitions))
    schema = ", ".join(["id bigint", *(f"c{index} {name}" for index, name in enumerate(types))])
    return spark.createDataFrame(
        rows.mapPartitionsWithIndex(lambda index, _: iter(partitions[index])), schema
    )


def expected_rows(data, types):
    """What a node is to get for each id."""
    convert = [TYPES[name][1] for name in types]
    return {
        row[0]: [function(value) for function, value in zip(convert, row[1:], strict=True)]
        for row in data.collect()
    }


def check(expected, results, passes, size, drop=False):
    assert len({len(batches) for batches in results}) == 1
    per_pass = len(results[0]) // passes
    for number in range(passes):
        mine = [batches[number * per_pass : (number + 1) * per_pass] for batches in results]
        assert len(mine[0]) == per_pass
        found = [row for batches in mine for batch in batches for row in batch]
        ids = [row[0] for row in found]
        assert len(set(ids)) == len(ids)
        if drop:
            assert {len(batch) for batches in mine for batch in batches} <= {size}
            assert len(expected) - len(ids) < len(results) * size
        else:
            assert set(ids) == set(expected)
        for row in found:
            assert row[1:] == expected[row[0]], row


def plain(array, index):
    """A value of a batch as plain Python."""
    if isinstance(array, dict):
        return {name: plain(inner, index) for name, inner in array.items()}
    value = array[index]
    return value.tolist() if hasattr(value, "tolist") else value


def read_feeds(sizes, ctx):
    """Return all batches of each feed, as lists of rows."""
    return [list(read(ctx.feed(str(number)), size)) for number, size in enumerate(sizes)]


def read(feed, size):
    while not feed.should_stop():
        batch = feed.next_batch(size)
        rows = range(len(batch["id"]))
        yield [[plain(column, row) for column in batch.values()] for row in rows]


def read_dataset(args, ctx):
    import tensorflow as tf

    size, passes, drop = args
    dataset = ctx.dataset(batch_size=size, drop_remainder=drop)
    found = []
    for _ in range(passes):
        for batch in dataset:
            local = tf.nest.map_structure(
                lambda value: ctx.strategy.experimental_local_results(value)[0].numpy(), batch
            )
            rows = range(len(local["id"]))
            found.append([[plain(column, row) for column in local.values()] for row in rows])
    return found


SMALL_SPOOL_BYTES = 300
ORDERS = st.sampled_from([{}, {"shuffle": True}, {"shuffle": True, "seed": 7}, {"cache": False}])
# To shrink what fails would start a cluster hundreds of times.
CASES = {
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.generate),
}


@pytest.mark.parametrize("nodes", [1, 2, 4])
@settings(max_examples=3, **CASES)
@given(
    feeds=st.lists(
        st.tuples(tables(), st.integers(1, 17), st.integers(1, 2), ORDERS), min_size=3, max_size=4
    ),
    limit=st.sampled_from([None, SMALL_SPOOL_BYTES]),
)
def test_feeds(spark, nodes, feeds, limit):
    sizes = [size for _, size, _, _ in feeds]
    with tsm.Cluster(
        read_feeds, sizes, spark=spark, num_workers=nodes, slots="release", spool_bytes=limit
    ) as cluster:
        sent = []
        for number, ((types, partitions), size, passes, order) in enumerate(feeds):
            data = as_dataframe(spark, types, partitions)
            order = {} if limit else order  # shuffling needs room for a share
            cluster.train(data, feed=str(number), epochs=passes, **order)
            sent.append((expected_rows(data, types), passes, size))
    results = zip(*cluster.results, strict=True)  # by feed
    for (expected, passes, size), result in zip(sent, results, strict=True):
        check(expected, result, passes, size)


@settings(max_examples=3, **CASES)
@given(table=tables(), size=st.integers(1, 17), drop=st.booleans(), shuffle=st.booleans())
def test_datasets(spark, table, size, drop, shuffle):
    nodes = 2
    types, partitions = table
    data = as_dataframe(spark, types, partitions)
    expected = expected_rows(data, types)
    too_few = drop and len(expected) // nodes < size
    with pytest.raises(EmptyFeedError, match="drop_remainder") if too_few else nullcontext():
        results = tsm.run(
            read_dataset, (size, 2, drop), spark=spark, num_workers=nodes, data=data,
            shuffle=shuffle,
        )  # fmt: skip
        check(expected, results, 2, size, drop)
